/* ages: which nodes with a blob were used longest ago, and how much each holds on disk. */
#ifndef TOOTFS_AGES_H
#define TOOTFS_AGES_H

#include "index.h"

/* Sets the age (any ascending stamp, e.g. wall-clock ms) and the bytes held; replaces what was there. */
int ages_touch(struct txn *txn, uint64_t ino, uint64_t stamp, uint64_t bytes) MUST_CHECK;
int ages_get(struct txn *txn, uint64_t ino, uint64_t *stamp, uint64_t *bytes) MUST_CHECK; /* -ENOENT */
int ages_delete(struct txn *txn, uint64_t ino) MUST_CHECK; /* 0 also when there is none */
/* From the oldest on. visit: 0 = go on, 1 = stop, -errno = fail; must not change ages. */
typedef int age_visit(void *arg, uint64_t ino, uint64_t stamp, uint64_t bytes);
int ages_each(struct txn *txn, age_visit *visit, void *arg) MUST_CHECK;
/* The sum of bytes over all nodes (kept, not scanned). */
int ages_total(struct txn *txn, uint64_t *bytes) MUST_CHECK;

#endif

/* An intrusive hash table by u64 that grows. Not thread-safe; the owner's lock guards it. */
#ifndef TOOTFS_TABLE_H
#define TOOTFS_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct table_link {
	struct table_link *next;
	uint64_t id;
};

struct table {
	struct table_link **slots;
	size_t slots_count, count;
};

int table_init(struct table *t) MUST_CHECK;
void table_destroy(struct table *t); /* the elements are the caller's */
struct table_link *table_find(const struct table *t, uint64_t id);
/* link->id is set by the caller and not in the table yet. If growing fails, chains get longer. */
void table_insert(struct table *t, struct table_link *link);
void table_remove(struct table *t, struct table_link *link);

#endif

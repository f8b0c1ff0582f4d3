/* A walk over what is pending at and below a key, in slices, so that no snapshot of the index is kept for long. What
 * changes between two slices is seen as it is when its place comes. One thread. */
#ifndef TOOTFS_WISHES_H
#define TOOTFS_WISHES_H

#include <stdbool.h>
#include "cache/index/pending.h"

struct wishes {
	struct index *index;
	char folder[KEY_BYTES_MAX + 2]; /* the key and a '/'; "" for all */
	char position[KEY_BYTES_MAX + 1];
	bool begun, ended; /* begun: the key itself was looked at */
};

/* key: "" for all. */
void wishes_begin(struct wishes *w, struct index *index, const char *key);
/* 0 = go on, 1 = stop, this one will not come again; -errno = fail with it. It may only read. */
typedef int wish_visit(void *arg, struct txn *txn, const struct pending_record *record);
/* Looks at so many, then sets ended if there are no more. 0, 1 (stopped) or -errno. */
int wishes_slice(struct wishes *w, unsigned count, wish_visit *visit, void *arg) MUST_CHECK;

#endif

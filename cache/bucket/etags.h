/* Are this server's ETags the MD5s of its objects? Learned from what comes back; see etags.c. Thread-safe. */
#ifndef TOOTFS_ETAGS_H
#define TOOTFS_ETAGS_H

#include "cache/base/lock.h"
#include "sum.h"

enum { ETAGS_DOUBTS_MAX = 3 };

struct etags {
	atomic_bool off;   /* nothing is checked against them (any more) */
	atomic_bool known; /* one of them was seen to be the MD5 */
	atomic_bool parts_known;  /* one of an object in parts was seen to be what it should be */
	atomic_bool parts_untold; /* the server does not say how large parts are */

	struct lock lock; /* a leaf */
	struct {
		struct sum doubts[ETAGS_DOUBTS_MAX]; /* different objects that were not what their ETags say */
		unsigned doubts_count;
	} locked;
};

/* verify false: the user wants no checks. */
void etags_init(struct etags *e, bool verify);
void etags_destroy(struct etags *e);
bool etags_in_use(const struct etags *e);
/* Bytes and ETag fit. */
void etags_fit(struct etags *e);
/* Bytes came twice and the same, and they do not fit. true: they must not be used. */
bool etags_doubt(struct etags *e, const struct sum *said);
/* The same for objects in parts. */
bool etags_parts_in_use(const struct etags *e);
bool etags_doubt_parts(struct etags *e, const struct sum *said);
/* The bytes are right beyond doubt, and the ETag is not their MD5. */
void etags_refuted(struct etags *e, const char *key);

#endif

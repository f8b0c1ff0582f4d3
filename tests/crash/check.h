/* Is an image of a power cut recovered as it was promised? */
#ifndef TOOTFS_CRASH_CHECK_H
#define TOOTFS_CRASH_CHECK_H

#include "cache/cache.h"
#include "far.h"
#include "model.h"

/* What an image must come out as. */
struct expected {
	const struct story *stories; /* ACTORS of them */
	uint64_t promised;	     /* the newest transaction that must have survived */
	size_t at;		     /* the event before which it was cut */
	bool changes;		     /* it is changed when it was found to be right */
	bool killed;		     /* everything that was acknowledged by then is promised */
	uint64_t txn;		     /* the one that did; set by check_txn */
	size_t low[ACTORS], high[ACTORS]; /* steps: any of these pictures */
	size_t found[ACTORS];		  /* the picture that it was; set by check_tree */
	struct seen later;		  /* what became of one file since; "" = none */
};

enum { WHY_BYTES = 1024 };
/* Text of the first thing that is wrong, "" while nothing is. */
struct verdict {
	char why[WHY_BYTES];
};
/* Always false. */
bool wrong(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reads from the folder, which no cache has opened yet, what transaction it has. */
bool check_txn(struct expected *e, const char *folder, struct verdict *v);
/* Of a cache in which nobody changes anything: index, blobs and bucket (far) against each other. at_end: it has been
 * swept, too. */
bool check_index(struct cache *cache, bool at_end, struct verdict *v);
/* Of one that was started: every name and byte; when it has sent everything, also the bucket. */
bool check_tree(struct cache *cache, struct expected *e, struct verdict *v);
bool check_drained(struct cache *cache, const struct expected *e, struct verdict *v);

/* The last three, by a cache of its own that is opened in the folder. */
bool check_recovered(const char *folder, struct expected *e, struct verdict *v);

#endif

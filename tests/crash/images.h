/* Many images of one log: where the power is cut, who checks them, and what came out. */
#ifndef TOOTFS_CRASH_IMAGES_H
#define TOOTFS_CRASH_IMAGES_H

#include "log.h"
#include "model.h"

struct images {
	const struct log *log;
	size_t begin; /* no cut before this event */
	const struct story *stories;
	uint64_t seed;
	unsigned count;	    /* wanted */
	long only;	    /* this one alone, or -1 */
	const char *folder; /* for scratch */
	unsigned enough;    /* wrong ones, to stop at */
	bool quiet;
	/* out */
	unsigned done, distinct, wrong, twice;
};

void images_run(struct images *images);
/* Makes the folder, or makes it empty. */
void images_clear(const char *folder);

#endif

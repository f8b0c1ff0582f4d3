/* Rescues of a damaged index, cut off anywhere. */
#ifndef TOOTFS_CRASH_RESCUES_H
#define TOOTFS_CRASH_RESCUES_H

#include "log.h"
#include "model.h"

struct rescues {
	const struct log *log;
	size_t begin; /* nobody is killed before this event */
	const struct story *stories;
	uint64_t seed;
	const char *folder;	/* for scratch */
	unsigned count, stride; /* rescues; each is cut before every stride-th event */
	unsigned lies;		/* of the disk during a rescue: see record.h */
	unsigned enough;	/* wrong ones, to stop at */
	/* out */
	unsigned done, rescued, wrong;
};

void rescues_run(struct rescues *rescues);

#endif

/* How far work is: a bar that replaces itself on a terminal, elsewhere a line a second. And figures as people read them. */
#ifndef TOOTFS_CLIENT_PROGRESS_H
#define TOOTFS_CLIENT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "cache/base/buf.h"

struct progress {
	FILE *out;
	bool terminal, shown;
	int64_t told_ms;
};

void progress_begin(struct progress *p, FILE *out);
/* part: 0 to 1 is done; below 0: nobody knows. */
void progress_show(struct progress *p, double part, const char *text);
/* Takes the bar away, for a line of another kind or at the end. */
void progress_clear(struct progress *p);

void text_bytes(struct buf *out, uint64_t bytes);	/* 1.5 GiB */
void text_duration(struct buf *out, double seconds);	/* 2 h 5 min */
void text_count(struct buf *out, uint64_t count, const char *one, const char *many); /* 3 files */

#endif

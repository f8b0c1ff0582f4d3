/* What rescue.c, rescue_keep.c and rescue_list.c share. */
#ifndef TOOTFS_RESCUE_INTERNAL_H
#define TOOTFS_RESCUE_INTERNAL_H

#include <stdio.h>
#include "cache/index/salvage.h"
#include "numbers.h"
#include "rescue.h"
#include "rescue_place.h"

#define RESCUED "rescued"		  /* the list of a rescue that is committed, not ended */
#define RESCUED_UPLOADS "rescued.uploads" /* what the new index is to know */

struct rescue {
	struct places places;
	struct salvage_facts facts;
	struct salvage_sums sums;
	FILE *list, *uploads;
	struct numbers kept, copies; /* blobs that have their place; that the bucket has */
	struct buf where;
	uint64_t number_max;
	/* found */
	uint64_t files, bytes;		     /* with a path */
	uint64_t nameless, nameless_bytes;   /* blobs */
	uint64_t dropped, dropped_bytes;     /* copies of what the bucket has */
	uint64_t incomplete;		     /* of files: not all of it is here, or not for certain */
	uint64_t lost;			     /* unsent, and nothing of it is here */
	uint64_t removals, moves, headers;   /* wishes that are given up */
	uint64_t uploads_count;
	unsigned shown;			     /* lines in the log */
};

/* -- rescue_keep.c -- */
/* A salvage_visit; arg is the rescue. */
int keep_item(void *arg, const struct salvage_item *item) MUST_CHECK;
/* Every blob that has no place yet. */
int keep_rest(struct rescue *r) MUST_CHECK;

/* -- rescue_list.c -- */
int list_open(struct rescue *r, const char *damage, const struct cache_config *config) MUST_CHECK;
/* One line: what, of how many bytes, what is known of it, and where it is now (or NULL); path may be hostile. */
void list_line(struct rescue *r, const char *what, const char *path, const char *known);
/* One more line for what a power cut took; durable. Where there is no README yet, it is made. */
int note_append(const struct places *places, const char *path, const char *known) MUST_CHECK;
/* The sums; everything written is durable when it returns 0. */
int list_end(struct rescue *r) MUST_CHECK;
void list_close(struct rescue *r);
/* The same sums, as errors. */
void list_log(const struct rescue *r, const char *cache_folder);

#endif

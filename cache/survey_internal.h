/* What survey.c (who lists what, and who waits), survey_walk.c (the background) and survey_refresh.c (shared) have in common. */
#ifndef TOOTFS_SURVEY_INTERNAL_H
#define TOOTFS_SURVEY_INTERNAL_H

#include "cache/base/list.h"
#include "cache/base/lock.h"
#include "internal.h"
#include "survey.h"
#include "survey_apply.h"

enum { SURVEY_TIMES = 4096 };

struct survey {
	struct cache *cache; /* fixed */
	pthread_t thread;

	struct lock lock;
	struct wakeup wake;
	struct {
		struct list runs; /* directories that are being listed */
		bool started, stopping;
		struct survey_stats stats;
		uint64_t skipped[SURVEY_SKIPS];
		bool away; /* the bucket's last answer to a listing was a failure, and the log has it */
		/* When a directory was listed last, shared only: one place for each hash, imperfect by design. */
		struct {
			uint64_t ino;
			int64_t ms;
		} times[SURVEY_TIMES];
	} locked;
};

/* -- survey.c -- */
bool survey_stopping(struct survey *s);
/* One page; the first of a row of failures is logged. Errors of bucket_list. */
int survey_list(struct survey *s, const struct list_request *request, struct list_page *page) MUST_CHECK;
/* survey_folder, but with the error as it was. */
int survey_folder_once(struct survey *s, uint64_t ino) MUST_CHECK;
/* Are all names of the directory known? false also where nobody can tell. */
bool survey_is_complete(struct survey *s, uint64_t ino);
/* After the commit: counts, logs the first of each kind, tells who is not what it was. */
void survey_note(struct survey *s, const struct survey_found *found);
/* key + '/', or "" for the root. */
int survey_prefix(struct txn *txn, uint64_t ino, char out[KEY_BYTES_MAX + 2]) MUST_CHECK;
void survey_time_set(struct survey *s, uint64_t ino, int64_t ms);
int64_t survey_time_get(struct survey *s, uint64_t ino); /* INT64_MIN = not known */

/* -- survey_walk.c -- */
void *survey_walk_run(void *survey);
/* Is it done, by an earlier run? */
int survey_walk_done(struct survey *s, bool *done) MUST_CHECK;

#endif

/* fsck.tootfs: what its files share. */
#ifndef TOOTFS_FSCK_H
#define TOOTFS_FSCK_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "cache/base/lock.h"
#include "cache/check.h"
#include "tools/client/client.h"
#include "tools/client/progress.h"

/* Exit statuses, as fsck(8) has them. */
enum { FSCK_CLEAN = 0, FSCK_CORRECTED = 1, FSCK_LEFT = 4, FSCK_ERROR = 8, FSCK_USAGE = 16, FSCK_CANCELLED = 32 };

enum fsck_mode { FSCK_ASK, FSCK_NO, FSCK_PREEN, FSCK_YES };

struct fsck {
	/* what was asked for (options.c) */
	enum fsck_mode mode;
	bool deep, headers, cache_only, rebuild, json, help, version;
	int64_t upload_age_s; /* 0 = not given */
	int progress_fd; /* -C; -1 = none */
	const char *spec, *known;
	struct cache_config config;
	/* meanwhile */
	struct progress progress;
	int64_t began_ms;
	bool asked;	  /* the finding that comes next */
	bool interactive; /* findings are asked about on the terminal */
	atomic_bool cancelled;
	struct lock lock;
	struct cache *cache; /* guarded by lock: the one to be interrupted; fsck_uses sets it */
	uint64_t pending_most;
};

/* -- main.c -- */
/* A signal interrupts this cache from now on; NULL: none. After the call with NULL it may be closed. */
void fsck_uses(struct fsck *f, struct cache *cache);

/* -- options.c -- */
/* 0, -EINVAL, -ENOMEM, -ENOENT; and why. To be destroyed in any case. */
int options_parse(struct fsck *f, int argc, char **argv, struct buf *why) MUST_CHECK;
void options_help(FILE *out);

/* -- report.c -- */
void report_finding(void *fsck, const struct check_finding *finding);
void report_progress(void *fsck, const struct check_progress *progress);
bool report_ask(void *fsck, const struct check_finding *finding);
bool report_cancelled(void *fsck);
/* Lines of a daemon's stream, which are made of the same. */
void report_line(void *fsck, const char *kind, const json_t *object);
/* The last line. Returns the exit status. */
int report_end(struct fsck *f, const struct check_sums *sums);
int report_end_json(struct fsck *f, const json_t *end);
/* Any bytes as JSON text. */
json_t *report_text(const char *bytes);
void report_json(json_t *line);
/* One line on stderr. */
void complain(const char *fmt, ...) PRINTF(1, 2);

/* -- the ways; each returns an exit status -- */
int check_offline(struct fsck *f); /* -1: the cache is in use */
int check_live(struct fsck *f);
int check_orphans(struct fsck *f);
int rebuild(struct fsck *f);

/* -- offline.c, for rebuild.c too -- */
/* Opens for changes; a status, or FSCK_CLEAN. */
int offline_open(struct fsck *f, struct cache **out);
/* Sends what is to be sent, shows how far that is. */
void offline_drain(struct fsck *f, struct cache *cache, uint64_t hopeless);

#endif

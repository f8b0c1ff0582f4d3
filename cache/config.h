/* What the user can set: one table of options (config.c), text in, checked values out.
 *
 *     config_init; config_spec; config_set …; config_finish; use it; config_destroy
 *
 * The table is what --help, mount.example and the tests are made from. Every string in the struct
 * is owned by the config, also those in bucket. Not thread-safe; fixed after config_finish. Option
 * texts come from a command line or fstab; no secret is ever an option. */
#ifndef TOOTFS_CONFIG_H
#define TOOTFS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"
#include "cache/base/log.h"
#include "cache/bucket/bucket.h"

struct cache_config {
	struct bucket_config bucket; /* user_agent stays NULL: the program's to set */
	const char *cache; /* the cache folder, absolute; chosen by config_finish when not given */
	uint64_t cache_size_bytes;
	uint32_t uid, gid; /* of nodes that came from the bucket; UINT32_MAX = fs/ decides */
	uint32_t file_mode, dir_mode; /* of those nodes; permission bits only */
	bool durability_bucket;	      /* close and fsync wait for the upload */
	unsigned uploads, downloads;  /* requests at a time */
	uint64_t part_size_bytes;
	unsigned shared_s; /* 0 = this mount is the only writer */
	bool ro, sticky, survey;
	int64_t stop_timeout_ms, io_timeout_ms, full_timeout_ms;
	const char *metrics; /* 127.0.0.1:PORT or the like; NULL = not wanted */
	struct log_config log; /* sink is the program's to set */

	uint64_t
	    given; /* config.c's own: which options were set, a bit for each row of the table */
};

enum config_kind {
	CONFIG_TEXT,
	CONFIG_PATH, /* relative ones are made absolute at once: the daemon changes folder */
	CONFIG_SIZE, /* bytes, with K, M, G or T */
	CONFIG_TIME, /* seconds, with ms, s, m or h */
	CONFIG_NUMBER,
	CONFIG_MODE, /* octal permission bits */
	CONFIG_CHOICE,
	CONFIG_SWITCH, /* on, off, yes, no, true, false, 1, 0; the bare name means on */
};

struct config_option {
	const char *name;
	enum config_kind kind;
	const char *fallback; /* the default as a user would write it; NULL = not set */
	const char *value; /* what may be written, for the help text: "5M to 5G", "none|object" */
	const char *help;  /* one line */
};

void config_init(struct cache_config *c);
void config_destroy(struct cache_config *c);
/* The bucket as the user wrote it: s3://NAME[/PREFIX] or file:///FOLDER. 0, -ENOMEM. */
int config_spec(struct cache_config *c, const char *spec) MUST_CHECK;
/* value NULL = the bare name was given. Set twice, the last wins. -EINVAL: why gets a line of plain
 * words, with the limits of the value or the nearest known name. */
int config_set(struct cache_config *c, const char *name, const char *value,
	       struct buf *why) MUST_CHECK;
/* Fills what depends on other options and refuses contradictions (-EINVAL and why); after it, c is
 * complete. */
int config_finish(struct cache_config *c, struct buf *why) MUST_CHECK;

/* Rows in the order of the help text; stops at the first visit that returns non-zero, and returns
 * that. */
typedef int config_visit(void *arg, const struct config_option *option);
int config_each(config_visit *visit, void *arg);
const struct config_option *config_find(const char *name); /* NULL = there is none */

#endif

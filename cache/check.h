/* Check: index, blobs and bucket against each other; what fsck.tootfs and the daemon's /check do.
 *
 * One merge of the bucket's listing with the index's walk, in key order: memory does not grow with the number of objects, and no
 * object costs a request. What looks wrong is looked at again by itself (a fresh snapshot, the object's head, a fresh
 * snapshot) before it is told, so that a change made meanwhile is no finding.
 *
 *     CHECK_REPORT  changes nothing; works on a cache of check_open too
 *     CHECK_PREEN   mends what loses nothing
 *     CHECK_YES     mends everything that can be mended; asks before where the visitor wants that
 *
 * Mending writes records as ordinary calls do; what is to be sent is sent by the sender. One thread; callbacks come on it with
 * nothing held. */
#ifndef TOOTFS_CHECK_H
#define TOOTFS_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include "cache.h"

enum check_code {
	CHECK_NONE,
	CHECK_UNKNOWN,
	CHECK_GONE,
	CHECK_COPY_GONE,
	CHECK_LOST,
	CHECK_REPLACED,
	CHECK_OUTDATED,
	CHECK_NOT_WANTED,
	CHECK_SETTLED,
	CHECK_BLOB_MISSING,
	CHECK_BLOB_SHORT,
	CHECK_BLOB_WRONG,
	CHECK_BLOB_DIFFERS,
	CHECK_DIRTY_LOST,
	CHECK_ORPHAN_BLOB,
	CHECK_AGE,
	CHECK_TOTALS,
	CHECK_NAME,
	CHECK_MARKER,
	CHECK_BAD_KEY,
	CHECK_SHADOWED,
	CHECK_UPLOAD,
	CHECK_HEADERS,
	CHECK_CODES,
};

/* The table that the man page repeats. */
struct check_rule {
	const char *name; /* stable, for scripts */
	const char *sentence;
	const char *mend; /* what mending does; NULL = it cannot be mended */
	bool preen;	  /* -p does it too */
	bool note;	  /* no damage: told, but it makes no exit status */
};
const struct check_rule *check_rule(enum check_code code);

enum check_repair { CHECK_REPORT, CHECK_PREEN, CHECK_YES };

struct check_options {
	enum check_repair repair;
	bool deep;	 /* read every cached byte */
	bool headers;	 /* ask for every object's headers */
	bool cache_only; /* without the bucket */
	int64_t upload_age_s; /* multipart uploads that are older are told; 0 = a day */
	bool live;	 /* the cache is in use by others */
};

enum check_outcome { CHECK_LEFT, CHECK_MENDED, CHECK_FAILED };

struct check_finding {
	enum check_code code;
	const char *key; /* raw bytes; "" = none */
	uint64_t blob;	 /* 0 = none */
	uint64_t size;
	const char *detail; /* "" or further words */
	enum check_outcome outcome;
	int error; /* of FAILED */
};

struct check_progress {
	uint64_t keys, total; /* compared; expected by the index, 0 = not known */
	const char *what;     /* the step */
};

struct check_sums {
	uint64_t objects, files, bytes; /* in the bucket; in the index; of the objects */
	uint64_t unlisted;		/* objects in folders that were not listed yet: no damage */
	uint64_t pending;		/* files that are still to be sent or removed */
	uint64_t changed;		/* looked wrong, but was being changed */
	uint64_t found[CHECK_CODES];
	uint64_t damage, mended, left; /* without notes: damage = mended + left */
	uint64_t notes;
};

struct check_visitor {
	void (*finding)(void *arg, const struct check_finding *finding);
	void (*progress)(void *arg, const struct check_progress *progress); /* about once a second, or NULL */
	bool (*ask)(void *arg, const struct check_finding *finding);	     /* NULL = yes */
	bool (*cancelled)(void *arg);					     /* or NULL */
	void *arg;
};

/* 0, whatever was found. -ECANCELED; -EILSEQ: the bucket lists its keys in no order, nothing was compared; -errno where bucket
 * or index cannot be read: *why has words. */
int check_run(struct cache *cache, const struct check_options *options, const struct check_visitor *visitor,
	      struct check_sums *sums, struct buf *why) MUST_CHECK;

/* Opens a cache for CHECK_REPORT alone: takes its lock (-EBUSY), and changes nothing in its folder. An index that would have to
 * be recovered first is copied to a temporary folder and recovered there. -EUCLEAN: the index is damaged; -ENOENT: there
 * is none. cache_start must not be called. */
int check_open(const struct cache_config *config, struct cache **out, struct buf *why) MUST_CHECK;
void check_close(struct cache **cache);

/* -- a new index (check_rebuild.c) -- */
/* Before cache_open, with nobody using the folder: the next cache_open puts the index aside, keeps what was not uploaded in
 * lost+found, and makes a new one. -EBUSY, -ENOENT: there is none. */
int check_condemn_index(const struct cache_config *config, struct buf *why) MUST_CHECK;
/* Waits until everything in the bucket is known; then what was kept in lost+found/files takes its place in the tree, to be
 * uploaded, unless the tree has something there: that stays in lost+found. kept, left: how many. */
struct check_rebuilt {
	uint64_t keys, back, left;
};
int check_rebuild(struct cache *cache, const struct check_visitor *visitor, struct check_rebuilt *out) MUST_CHECK;

/* -- what somebody else knows (check_known.c) -- */
struct check_known_sums {
	uint64_t both, objects, object_bytes, missing;
};
struct check_known_visitor {
	/* A key that is only in the bucket (size), or only in the list (size 0). */
	void (*only)(void *arg, const char *key, bool in_bucket, uint64_t size);
	bool (*cancelled)(void *arg);
	void *arg;
};
/* next: the next line of the list, in ascending byte order, without duplicates; NULL at the end. Of the
 * config only the bucket is used. */
typedef const char *check_known_next(void *arg);
int check_known(const struct cache_config *config, check_known_next *next, void *next_arg,
		const struct check_known_visitor *visitor, struct check_known_sums *sums, struct buf *why) MUST_CHECK;

#endif

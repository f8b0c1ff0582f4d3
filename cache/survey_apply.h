/* One page of a listing → index. Pure over the caller's transaction: no bucket, no lock, no log. */
#ifndef TOOTFS_SURVEY_APPLY_H
#define TOOTFS_SURVEY_APPLY_H

#include "cache/base/key.h"
#include "cache/bucket/bucket.h"
#include "cache/index/nodes.h"
#include "config.h"

/* Why a key is not in the tree: a key_verdict, or one of these. */
enum {
	SURVEY_SKIP_FOLDER = KEY_NO_SLASH + 1, /* an object that has the name of a folder */
	SURVEY_SKIP_FOREIGN,                   /* the server listed what was not asked for */
	SURVEY_SKIPS,
};
const char *survey_skip_text(unsigned skip);

enum { SURVEY_CHANGED_MAX = 16, SURVEY_PROBATION_KEYS = 1000, SURVEY_PROBATION_FOLDERS = 4096 };

/* What a page came to. The examples point into the page. */
struct survey_found {
	uint64_t keys, folders; /* objects seen; directories that are complete now */
	uint64_t skipped[SURVEY_SKIPS];
	const struct list_entry *examples[SURVEY_SKIPS];
	uint64_t changed[SURVEY_CHANGED_MAX]; /* nodes that are something else now */
	size_t changed_count;
	bool made_way; /* a file's node went for a folder of its name; not told yet */
};

/* A page of one directory's own listing (with delimiter), whose prefix ends in '/' or is "". After the last page it is
 * complete. -EALREADY: it is complete already, nothing was done. -ENOENT: it is gone. */
struct survey_folder {
	uint64_t ino;
	const char *prefix;
	bool last;
};
int survey_apply_folder(struct txn *txn, const struct cache_config *config, const struct survey_folder *folder,
			const struct list_page *page, struct survey_found *found) MUST_CHECK;

/* How far a listing of everything (without delimiter) has come. */
struct survey_walk {
	char last[KEY_BYTES_MAX]; /* the key that was passed last; raw bytes */
	size_t last_bytes;
	uint64_t keys; /* of this and earlier runs that it goes on from */
	/* Directories that were passed while too few keys came to trust the order. */
	uint64_t passed[SURVEY_PROBATION_FOLDERS];
	size_t passed_count;
};
/* -EILSEQ: the keys are not in order, nothing may be concluded from this listing; the transaction is to be aborted. */
int survey_apply_walk(struct txn *txn, const struct cache_config *config, struct survey_walk *walk,
		      const struct list_page *page, struct survey_found *found) MUST_CHECK;
/* After the last page: what is left is complete, the root too. */
int survey_apply_end(struct txn *txn, struct survey_walk *walk, struct survey_found *found) MUST_CHECK;

/* A new name in a directory: a file for an object, or a directory that is not complete. *ino: the new node. */
int survey_apply_name(struct txn *txn, const struct cache_config *config, uint64_t parent, const char *name,
		      const struct object *object, uint64_t *ino) MUST_CHECK;

#endif

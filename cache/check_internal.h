/* What the check_*.c files share: the run (check.c), the listing (check_lister.c), the walk (check_walk.c), the comparison
 * (check_merge.c), one key (check_look.c), blobs (check_blobs.c), what is not a file (check_rest.c), mending (check_mend.c). */
#ifndef TOOTFS_CHECK_INTERNAL_H
#define TOOTFS_CHECK_INTERNAL_H

#include "cache/bucket/bucket.h"
#include "cache/index/names.h"
#include "cache/index/nodes.h"
#include "cache/index/pending.h"
#include "check.h"
#include "internal.h"
#include "numbers.h"

struct check_headers;

struct check {
	struct cache *cache;
	const struct check_options *options;
	const struct check_visitor *visitor;
	struct check_sums *sums;
	struct buf *why;
	struct check_headers *headers; /* NULL: not asked for */
	int64_t told_ms;
	uint64_t total, names;
	const char *what;
	struct numbers named;	       /* blobs that records name */
	struct index_totals counted;   /* by the walk */
	char folder[KEY_BYTES_MAX + 2]; /* what is below this unknown folder was told with it */
};

bool check_cancelled(struct check *c);
void check_progress(struct check *c);

/* -- one key (check_look.c) -- */
struct check_facts {
	bool known, folder; /* a file or symlink, a folder has this key */
	bool complete;	    /* the folder that it is in, or would be made in, is known completely */
	bool primary;
	bool wished;		/* there is a pending record */
	size_t unknown_bytes;	/* !known: of the key, up to its first part that is unknown */
	uint64_t parent;	/* the deepest known folder of the key */
	struct node_record node; /* known */
	struct pending_record wish;
};
/* key: checked. */
int check_look(struct cache *cache, const char *key, struct check_facts *out) MUST_CHECK;
/* object NULL = there is none. Pure. */
enum check_code check_judge(const struct check_facts *facts, const struct object *object);
bool check_same(const struct check_facts *a, const struct check_facts *b);
/* Looks again until nothing changes while it looks; then tells and mends what is still wrong. */
int check_again(struct check *c, const char *key) MUST_CHECK;

/* -- findings (check.c) -- */
struct check_case {
	enum check_code code;
	const char *key;
	uint64_t ino, blob, size;
	const char *detail;
	const struct check_facts *facts; /* or NULL */
	const struct object *object;	 /* or NULL */
	const char *upload_id;
};
/* Counts, mends as is allowed, tells. 0, -ECANCELED. */
int check_found(struct check *c, const struct check_case *k) MUST_CHECK;

/* -- mending (check_mend.c): 0, -EAGAIN = it was changed meanwhile, -errno -- */
int check_mend(struct check *c, const struct check_case *k) MUST_CHECK;

/* -- the listing (check_lister.c) -- */
struct check_lister;
/* Asks for the next page while one is worked at. */
int check_lister_open(struct bucket *bucket, struct check_lister **out) MUST_CHECK;
void check_lister_close(struct check_lister **lister);
/* One page, in order; 1 = that was the last one before. The words of an error are why's. */
typedef int check_page(void *arg, struct list_page *out, struct buf *why);
int check_lister_next(void *lister, struct list_page *out, struct buf *why) MUST_CHECK;

/* Objects one by one; order is checked. */
struct check_objects {
	check_page *page;
	void *arg;
	struct list_page now;
	size_t at;
	bool loaded, ended;
	size_t last_bytes;
	char last[KEY_BYTES_MAX];
};
/* 0: *out is the next one (valid until the next call), or NULL at the end. -EILSEQ: it comes before the last. */
int check_objects_next(struct check_objects *o, const struct list_entry **out, struct buf *why) MUST_CHECK;
void check_objects_destroy(struct check_objects *o);

/* -- the walk (check_walk.c) -- */
struct check_file {
	char key[KEY_BYTES_MAX + 1];
	bool primary, plain; /* plain: not DIRTY and no home elsewhere, so that listing and record can be compared */
	uint64_t ino, size, blob;
	char etag[NODE_ETAG_BYTES];
};
struct check_walk;
int check_walk_open(struct check *c, struct check_walk **out) MUST_CHECK;
void check_walk_close(struct check_walk **walk);
/* The next name of a file in key order, NULL at the end; a snapshot is held for one batch only. */
int check_walk_next(struct check_walk *walk, const struct check_file **out) MUST_CHECK;

/* -- headers (check_headers.c) -- */
int check_headers_open(struct bucket *bucket, struct check_headers **out) MUST_CHECK;
void check_headers_close(struct check_headers **headers);
/* Asks for them in the background; tells what others came to. */
int check_header(struct check *c, const struct check_file *file) MUST_CHECK;
int check_headers_end(struct check *c) MUST_CHECK;

/* -- the steps -- */
int check_merge(struct check *c, check_page *page, void *arg) MUST_CHECK; /* page NULL: without the bucket */
int check_blob(struct check *c, const struct check_file *file) MUST_CHECK;
/* Are the first bytes of the file those of the object, by its checksum or else by reading it? 0, -EBADMSG, -ESTALE: it is another
 * object by now, -errno. */
int check_compare(struct check *c, const char *key, const struct object *object, int fd, bool *by_sum) MUST_CHECK;
int check_orphan_blobs(struct check *c) MUST_CHECK;
int check_ages(struct check *c) MUST_CHECK;
int check_totals(struct check *c) MUST_CHECK;
int check_wishes(struct check *c) MUST_CHECK;
int check_uploads(struct check *c) MUST_CHECK;

#endif

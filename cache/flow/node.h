/* Live nodes: files that are open, being filled, sent or changed. The only per-file memory there is.
 *
 * Lock order: nodes.lock → node.lock (two nodes: the smaller ino first) → index write transaction → leaf locks
 * (queues, space, checkpoint lists; one at a time, nothing is called under them). Nothing is held over bucket_*(),
 * a reply, or a done() callback. After a wait, read the state again.
 *
 * The content fields of an index record (size, content, version, blob, etag, home, present) are changed only by
 * somebody who holds a reference and node.lock, in the index and here together: lock → write transaction →
 * commit → update `locked` → unlock. All other fields are changed in a write transaction that reads the record first.
 *
 * The content that readers see is `locked.size` bytes of `locked.blob`. While `locked.draft` it is not yet
 * published: the index still has the version before. An appended draft goes on in the published blob (a version
 * is the first size bytes of its blob), any other change of published bytes goes to a new blob. */
#ifndef TOOTFS_NODE_H
#define TOOTFS_NODE_H

#include <stdatomic.h>
#include "cache/base/list.h"
#include "cache/base/lock.h"
#include "cache/base/table.h"
#include "cache/blob/ranges.h"
#include "cache/index/nodes.h"
#include "flow.h"

struct nodes;
struct fill;   /* fill.c's */
struct stream; /* stream.c's */

/* A blob's file, open as long as anybody uses it. */
struct open_blob {
	atomic_uint refs;
	int fd;
	uint64_t id;
};
struct open_blob *open_blob_get(struct open_blob *blob);
void open_blob_put(struct open_blob **blob); /* *blob may be NULL */
/* Wraps an fd (closed on an error). */
int open_blob_new(uint64_t id, int fd, struct open_blob **out) MUST_CHECK;

struct node {
	struct table_link link; /* id = ino; guarded by nodes.lock */
	atomic_uint refs;       /* falls, and rises from 0, under nodes.lock only */
	struct flow *flow; /* fixed */

	struct lock lock;
	struct {
		unsigned opens, writers; /* open handles; those of them that may write */
		bool gone;               /* the index has no such node any more */
		bool orphan;             /* no name; deleted when the last handle is closed */
		bool guessed;            /* NODE_GUESSED */
		bool sparse;             /* NODE_SPARSE, of the published content */
		/* as published; the index's record */
		enum content content;
		uint64_t version, published_size, published_blob;
		char etag[NODE_ETAG_BYTES];
		/* +1 whenever the bucket put another content here: what was opened before ends with -ESTALE */
		uint64_t epoch;
		/* as seen by readers */
		uint64_t size, blob;
		struct ranges present;   /* of a REMOTE node's blob; otherwise unused: all is there */
		struct open_blob *open;  /* of blob, or NULL until it is needed */
		uint64_t reserved;       /* bytes of the cache that `blob` is accounted with */
		uint64_t published_reserved; /* … and published_blob, where that is another one */
		/* unpublished change */
		bool draft;
		int draft_error;         /* poisoned: the flush fails with it */
		int64_t draft_mtime_ns;  /* 0 = the record's mtime holds */
		uint64_t draft_written;  /* [0, this) was written in order since the blob was new */
		uint64_t draft_reverts;  /* drafts thrown away so far: what other handles wrote was in them too */
		struct fill *fill;
		struct stream *stream;
	} locked;
};

int nodes_open(struct flow *flow, struct nodes **out) MUST_CHECK;
void nodes_close(struct nodes **nodes);
/* A reference; reads the record when the node is not live yet. -ENOENT, -EISDIR for a directory. */
int node_get(struct nodes *nodes, uint64_t ino, struct node **out) MUST_CHECK;
/* The same only where it is live already, else NULL. */
struct node *node_find(struct nodes *nodes, uint64_t ino);
struct node *node_hold(struct node *node); /* one more reference; takes no lock */
void node_put(struct node **node);
static inline uint64_t node_ino(const struct node *node)
{
	return node->link.id;
}

/* Sets node->locked.open (opens the blob). A CLEAN or REMOTE node whose blob is missing on disk, or is not what the record
 * says (sound.h), becomes REMOTE without a blob (index too) and -EAGAIN says: look again. DIRTY then: -EIO, logged as a loss. */
int node_open_blob_locked(struct node *node) REQUIRES(&node->lock) MUST_CHECK;
/* Are the bytes [start, end) here? end is cut to size by the caller. */
bool node_covers_locked(const struct node *node, uint64_t start, uint64_t end);
/* Copies the content fields of the record into `locked`, dropping what does not fit any more (open blob,
 * ranges, draft). */
void node_load_locked(struct node *node, const struct node_record *record) REQUIRES(&node->lock);
/* Debug: asserts the table of states (see node.c). */
void node_check_locked(const struct node *node);

#endif

/* Send: index and blobs → bucket. Worker threads (uploads) make the bucket what `pending` wants.
 *
 * A worker takes the next record in key order, going round: not in flight, covered by a checkpoint (covered is read BEFORE the read
 * transaction is begun: see send.c for the race that this closes), not held (want_held), retry_ns passed, and for a PUT no
 * writer that has never flushed (node live with writers and published_blob == 0 and version == 0). Neighbouring ABSENT records
 * become one bucket_remove of up to 1000 keys. A key is in flight at most once (table in memory).
 *
 * PUT of node n at version v:
 *   n DIRTY                → its blob: single PUT up to part_size, else multipart in parallel parts (stream.c)
 *   n CLEAN/REMOTE, a source key exists (want_source) → bucket_copy with its ETag; -ENOENT/-ESTALE there and blob complete here → PUT of the blob;
 *                            neither → logged as an error, retried slowly, never forgotten
 *   attrs_only             → bucket_copy onto itself
 *   a symlink              → like a file; body = target; attrs always sent
 * Then with node.lock and one transaction: the record still wants (n, v) → delete it; n still at v → content CLEAN (DIRTY before), ETag; if key
 * is n's primary key: home = "" (and a hold of the former home is over: send_kick). Changed meanwhile → leave the record; it is sent again.
 * DELETE done: the record still wants ABSENT → delete it.
 *
 * A hold that is over is first taken out of its record in a transaction, and the key is sent when that is covered. Names that change
 * places hold each other: one of the nodes takes its content along as a blob (fetched where need be) and becomes DIRTY (send_untie.c).
 *
 * A failure that concerns the bucket (-EACCES, -ENODEV, -EHOSTDOWN) stops all workers: state in the log, once, in words; one probe
 * after 1, 2, 4 … 30 s; nothing is thrown away. -EINVAL and others that concern one key: attempts and retry_ns in its record (5 s … 10 min), others go on. */
#ifndef TOOTFS_SEND_H
#define TOOTFS_SEND_H

#include "node.h"

struct sends;

int sends_open(struct flow *flow, struct sends **out) MUST_CHECK;
/* Aborts multipart uploads that an earlier process left (uploads table; records without id by bucket_upload_list), in the background. */
int sends_start(struct sends *s) MUST_CHECK;
void sends_stop(struct sends *s); /* the bucket is stopped before; joins */
void sends_close(struct sends **s);

/* There may be something new to send. Leaf lock only. */
void send_kick(struct sends *s);
/* Waits until the node's version v (or a later one) is in the bucket under all its names. 0, -ETIMEDOUT, -EIO when the bucket
 * refuses everything or this, or the sender is stopped. Nothing held. */
int send_wait(struct sends *s, uint64_t ino, uint64_t version, int64_t deadline_ms) MUST_CHECK;
/* Ignores all back-off once: try now (drain). */
void send_hurry(struct sends *s);

struct send_stats {
	uint64_t puts, copies, removes, bytes, failures;
	unsigned in_flight;
	bool stopped;      /* by a failure that concerns the bucket */
	char why[256];
	int error;         /* -errno of that; 0 */
	uint64_t stops;    /* how often it was found so, each fruitless try included */
};
void send_stats_read(struct sends *s, struct send_stats *out);

/* -- streams (stream.c): parts of a file that is still being written --
 * Called by file.c after every write to a draft: bytes [0, end) were written in order and will not change. Opens an upload when
 * end passes 2 * part_size (not for names that begin with '.': they are renamed soon) and queues the parts that are complete. */
void stream_written_locked(struct sends *s, struct node *node, uint64_t end) REQUIRES(&node->lock);
/* Bytes before what was said to be final change, or the draft is thrown away: the upload is aborted in the background. */
void stream_break_locked(struct sends *s, struct node *node) REQUIRES(&node->lock);

#endif

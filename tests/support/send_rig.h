/* A cache with senders in a temporary folder, over a bucket in memory: what the tests of send share. All but the
 * bucket is real. */
#ifndef TOOTFS_SEND_RIG_H
#define TOOTFS_SEND_RIG_H

#include <pthread.h>
#include "cache/file.h"
#include "cache/index/nodes.h"
#include "cache/index/pending.h"
#include "cache/internal.h"
#include "cache/tree.h"
#include "store_bucket.h"

struct send_rig {
	struct cache cache;
	struct cache_config config; /* to be changed before send_rig_start */
	struct store *store;
	char folder[64];
	const char *boot_id; /* NULL = this kernel's */
	enum index_start found;
	bool running;
};

void send_rig_init(struct send_rig *r);
void send_rig_start(struct send_rig *r);
void send_rig_stop(struct send_rig *r, bool clean); /* the folder stays */
void send_rig_destroy(struct send_rig *r);
/* Held while send_rig_crash copies: a test with crashes includes send_rig_disk.h, so that syncs wait for it. */
extern pthread_mutex_t send_rig_frozen;
/* A second one that finds what a power cut (or a kill) at this moment would have left. Neither is stopped by it. */
void send_rig_crash(struct send_rig *r, struct send_rig *after, bool power_cut);

/* -- files, by path below the root; 0 or -errno -- */
int send_rig_write(struct send_rig *r, const char *path, const void *bytes, size_t length);
/* Makes or truncates it, writes, and leaves it open. */
int send_rig_open_new(struct send_rig *r, const char *path, struct file **out);
int send_rig_write_at(struct file *file, uint64_t offset, const void *bytes, size_t length);
int send_rig_read(struct send_rig *r, uint64_t ino, struct buf *out);
int send_rig_unlink(struct send_rig *r, const char *path);
int send_rig_rename(struct send_rig *r, const char *from, const char *to, unsigned flags);
int send_rig_link(struct send_rig *r, const char *from, const char *to);
int send_rig_symlink(struct send_rig *r, const char *path, const char *target);
int send_rig_mkdir(struct send_rig *r, const char *path);
int send_rig_look(struct send_rig *r, const char *path, struct stat *out);
struct node_record send_rig_node(struct send_rig *r, const char *path); /* ino 0 = there is none */
bool send_rig_pending(struct send_rig *r, const char *key, struct pending_record *out);
uint64_t send_rig_pending_count(struct send_rig *r);
/* Makes the node REMOTE without a blob, as the evictor would; false: it is not CLEAN. */
bool send_rig_evict(struct send_rig *r, const char *path);

/* -- the end -- */
/* Until nothing is pending and nothing is being uploaded; false after so long. */
bool send_rig_drain(struct send_rig *r, int64_t ms);
/* Is the bucket what the tree says? NULL, or what is wrong. Drained before. */
const char *send_rig_differs(struct send_rig *r);

#endif

/* A cache in a temporary folder over a faulty bucket: index, blobs and flow are real, senders and filesystem are not there. */
#ifndef TOOTFS_RIG_H
#define TOOTFS_RIG_H

#include "cache/flow/node.h"
#include "cache/internal.h"
#include "faulty_bucket.h"

struct rig {
	struct cache cache;
	struct cache_config config; /* to be changed before rig_start; with bucket.spec that bucket is used */
	struct faulty_bucket *faulty;
	struct lock lock;
	uint64_t changed[64]; /* inos that flow->changed was called with; guarded by lock */
	size_t changed_count;
	char folder[64];
	bool running;
};

void rig_init(struct rig *r);
void rig_start(struct rig *r); /* opens and starts everything but the survey */
void rig_stop(struct rig *r);  /* a clean stop; the folder stays */
void rig_destroy(struct rig *r);

/* A node that the bucket has, in the root, with a fitting name; the object is put too when seed is not 0. */
uint64_t rig_file(struct rig *r, const char *name, uint64_t size, unsigned seed, uint32_t flags);
struct node *rig_node(struct rig *r, uint64_t ino);
/* Until the node has no fill; fails after 10 s. */
void rig_rest(struct node *node);
struct node_record rig_record(struct rig *r, uint64_t ino);
/* Fails unless what the evictor counts is what ages says, once condemned blobs are gone. */
void rig_check_space(struct rig *r);
/* Waits a little: it is called after the fact. */
bool rig_was_changed(struct rig *r, uint64_t ino);

#endif

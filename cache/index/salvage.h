/* What a damaged index still says. Nothing of it is believed unseen: LMDB may crash, loop or hand out garbage on damaged
 * pages, so the file is read by a process of its own with limits of time and memory, and each record that comes from there
 * is decoded here again.
 *
 * The caller holds the cache's lock file and has no index open in this folder. One thread; memory does not grow with the
 * index. The forked process uses LMDB, a pipe and malloc only, and ends with _exit. */
#ifndef TOOTFS_SALVAGE_H
#define TOOTFS_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"
#include "nodes.h"
#include "pending.h"

struct salvage_facts {
	bool has_file;
	uint64_t format;     /* 0 = it does not say */
	char identity[2048]; /* "" = it does not say */
	uint64_t next_blob;  /* 0 = it does not say */
	/* The file is that of this boot, at its newest state: what a record says of a blob is so. False after a power cut
	 * and where that cannot be told: a record may then be an older one. */
	bool newest;
};

/* Meta pages that cannot be read are put back from steady, where there is a whole one; that changes index.mdb, and is
 * remembered (index_note_damage). boot_id NULL = the running kernel's. 0, or -errno of the disk. */
int salvage_mend(const char *folder, const char *boot_id) MUST_CHECK;
int salvage_look(const char *folder, const char *boot_id, struct salvage_facts *out) MUST_CHECK;

enum salvage_kind { SALVAGE_WISH, SALVAGE_NODE, SALVAGE_UPLOAD };

struct salvage_item {
	enum salvage_kind kind;
	struct pending_record wish;   /* WISH */
	bool has_node;		      /* WISH: its node could be read */
	struct node_record node;      /* NODE, and WISH with has_node: a file or symlink */
	char path[KEY_BYTES_MAX + 1]; /* NODE with unsent content: "" = its folders cannot be read */
	struct upload_record upload;  /* UPLOAD */
};
/* 0 = go on, -errno = fail with it. */
typedef int salvage_visit(void *arg, const struct salvage_item *item);

struct salvage_sums {
	bool wishes_whole, nodes_whole, uploads_whole; /* read from end to end, and each record could be decoded */
	uint64_t damaged;			       /* records that could not be decoded */
	unsigned crashes;			       /* of the process that reads */
};

/* Every wish, then every node with a blob or with unsent content, then every upload. A node may come twice. */
int salvage_read(const char *folder, salvage_visit *visit, void *arg,
		 struct salvage_sums *out) MUST_CHECK;

/* Walks every table and decodes every record, for at most limit_ms: what is not seen by then is taken for good.
 * -EUCLEAN with *why in words; 0; -errno where it cannot be done. */
int salvage_check(const char *folder, int64_t limit_ms, struct buf *why) MUST_CHECK;

#endif

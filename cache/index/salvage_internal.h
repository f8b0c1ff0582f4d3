/* Between the process that reads a damaged index and the one that asked for it. For salvage*.c only.
 *
 * Over the pipe go heads, each followed by its key and its value. A message that is cut short was the last one. */
#ifndef TOOTFS_SALVAGE_INTERNAL_H
#define TOOTFS_SALVAGE_INTERNAL_H

#include "internal.h"
#include "salvage.h"

enum salvage_pass { PASS_MAIN, PASS_WISHES, PASS_NODES, PASS_UPLOADS, PASS_CHECK };

enum salvage_word {
	SAY_RECORD = 'r',  /* of the pass's table, stored key and value */
	SAY_NODE = 'n',	   /* of the wish before: ino and value */
	SAY_PATH = 'p',	   /* of the node before: the value is its key */
	SAY_DAMAGED = 'd', /* a record that cannot be decoded: its key; PASS_CHECK: the value says what in words */
	SAY_ALIVE = 'a',   /* a long way without anything to say */
	SAY_END = 'e',	   /* the table's end was reached in order */
};

enum { SALVAGE_VALUE_BYTES_MAX = 4096 };

struct salvage_head {
	uint32_t word;
	uint16_t key_bytes, value_bytes;
};

/* Where a walk goes on and ends: strictly behind from, strictly before until, in its direction. 0 bytes = none. */
struct salvage_place {
	uint8_t bytes[RECORD_KEY_BYTES_MAX];
	size_t length;
};

struct salvage_task {
	const char *path; /* of the index file */
	enum salvage_pass pass;
	bool backward;
	struct salvage_place from, until;
	int out; /* the pipe */
};

/* Brings the journal's changes into index.mdb at path, or leaves that as it is (in the log). -errno: no process. */
int salvage_redo(const char *path, const struct journal *journal) MUST_CHECK;

/* The child's whole life; never returns. */
_Noreturn void salvage_child(const struct salvage_task *task);

#endif

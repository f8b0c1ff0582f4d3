/* What the linker puts between the cache and its parts (--wrap): the bucket is far.h's, the boot id is the test's, the
 * transactions of a thread are noted, and the cache can be broken in ways that must be found. */
#ifndef TOOTFS_CRASH_SEAMS_H
#define TOOTFS_CRASH_SEAMS_H

#include <stdbool.h>
#include <stdint.h>

enum breakage {
	BREAK_NOTHING,
	BREAK_NO_PIN,       /* a checkpoint does not keep the pages of its snapshot */
	BREAK_LATE_BLOBS,   /* blobs are synced after index and steady, not before */
	BREAK_EAGER_SENDER, /* the sender takes what no checkpoint covers */
};

extern enum breakage seam_breakage;
extern const char *seam_boot_id;
extern bool seam_rescues; /* a damaged index is rescued; else the cache does not open */
#define SEAM_BOOT_RECORDED "the boot that is recorded"

/* The first and the last transaction that this thread has committed since it set them to 0. */
extern _Thread_local struct seam_txns {
	uint64_t first, last;
} seam_txns;

#endif

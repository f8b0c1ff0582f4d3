/* The disk at every instant of a log, and what a power cut at that instant may leave of it.
 *
 * Promised is only this: what was written to a file before its last completed sync began is there, and so are the names
 * that were in a folder when its last completed sync began. Of what came later, each sector of 512 bytes is on disk
 * as of any later instant, the size as of any, each change of a name happened or not; a rename is atomic. */
#ifndef TOOTFS_CRASH_DISK_H
#define TOOTFS_CRASH_DISK_H

#include "entries.h"
#include "objects.h"

struct disk;

/* before: what the bucket had before the log began, or NULL. */
struct disk *disk_new(const struct log *log, const struct objects *before);
void disk_free(struct disk **disk);
/* Events before `at` have happened; it never goes back. */
void disk_advance(struct disk *disk, size_t at);
enum cut { CUT_POWER, CUT_KILL }; /* killed: the kernel has everything */

/* Writes one image into the folder, which is empty, and what the bucket has then into *bucket: a request that has
 * begun may have taken effect or not. Returns a hash of all of it. Draws from seed only. */
uint64_t disk_image(const struct disk *disk, enum cut cut, uint64_t seed, const char *folder,
		    struct objects *bucket);
/* The newest transaction that was promised to survive. */
uint64_t disk_promised(const struct disk *disk);

#endif

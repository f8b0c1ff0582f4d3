/* The recorder: what the program, and liblmdb.so with it, does to one folder goes through calls.c into a log.
 *
 * Syncs are only noted: they take a short random time, in which other threads go on, and nothing is synced. One
 * folder at a time. Thread-safe. */
#ifndef TOOTFS_CRASH_RECORD_H
#define TOOTFS_CRASH_RECORD_H

#include <sys/types.h>
#include "log.h"

/* What a file or folder of the cache is for: so that syncs of one kind can be left out, to show that they are missed. */
enum place {
	PLACE_FOLDER = 1,     /* the cache folder itself */
	PLACE_INDEX = 2,
	PLACE_STEADY = 4,
	PLACE_BLOBS = 8,      /* the folder of the folders of blobs */
	PLACE_BLOB_DIRS = 16,
	PLACE_BLOB = 32,
	PLACE_ALL = 64,       /* syncfs */
	PLACE_LIST = 128,     /* what a rescue has done and what is left of it */
	PLACE_OTHER = 256,
};

/* What is in the folder is taken for durable. lies: places whose syncs do nothing. */
void record_start(struct log *log, const char *folder, uint64_t seed, unsigned lies);
void record_stop(void);

/* For the bucket and for what is promised: the log with its lock held, or NULL when nothing is recorded. */
struct log *record_enter(void);
void record_leave(void);
/* Up to so many microseconds pass; nothing is held. */
void record_nap(unsigned us_max);

/* -- for calls.c; with the lock held but record_node and record_sync -- */

uint32_t record_node(int fd); /* NODE_ALL: not of the folder */
bool record_tracks(int at, const char *path); /* may the path be one of ours? */
/* Where a path leads: the folder and the last name in it; false where it is not ours or goes nowhere. */
bool record_find(int at, const char *path, uint32_t *dir, const char **name);
uint32_t record_lookup(uint32_t dir, const char *name); /* NODE_ALL: no such name */
void record_opened(int fd, uint32_t node, bool dsync);
bool record_is_dsync(int fd); /* what is written through it is durable at once */
uint32_t record_made(uint32_t dir, const char *name, bool is_dir);
void record_unlinked(uint32_t dir, const char *name);
void record_renamed(uint32_t dir, const char *from, const char *to, bool exchange);
void record_moved(uint32_t from_dir, const char *from, uint32_t to_dir, const char *to); /* to another folder */
void record_linked(uint32_t dir, const char *name, uint32_t node);
bool record_is_stream(uint32_t node); /* written by a FILE, which the recorder cannot see */
void record_written(uint32_t node, uint64_t offset, const void *bytes, size_t length);
void record_sized(uint32_t node, uint64_t length);
void record_synced(uint32_t node);
void record_sync(uint32_t node);
void record_closed(int fd);

#endif

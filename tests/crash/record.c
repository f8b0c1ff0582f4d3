/* A node is a number that is never used again; names lead to nodes, fds as well. Every call that changes something is
 * made and noted under one lock, so that the order of the log is the order of the effects. A sync is noted when it is over, and
 * stands for what had been written when it began. */
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "entries.h"

enum { FDS_MAX = 65536, NODES_MAX = 1 << 18 };

static struct {
	pthread_mutex_t lock;
	_Atomic bool on;
	struct log *log;
	char root[256];
	size_t root_bytes;
	struct entries names;
	uint32_t nodes;
	unsigned lies;
	_Atomic uint64_t random;
	_Atomic uint32_t fds[FDS_MAX]; /* node + 1 */
	_Atomic bool dsync[FDS_MAX];
	uint16_t places[NODES_MAX];
	bool is_dir[NODES_MAX];
} rec = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct log *record_enter(void)
{
	if (!atomic_load(&rec.on))
		return NULL;
	pthread_mutex_lock(&rec.lock);
	return rec.log;
}

void record_leave(void)
{
	pthread_mutex_unlock(&rec.lock);
}

void record_nap(unsigned us_max)
{
	uint64_t state = atomic_fetch_add(&rec.random, 0x9e37);
	unsigned us = us_max ? draw_below(&state, us_max) : 0;
	struct timespec t = {us / 1000000, us % 1000000 * 1000L};
	nanosleep(&t, NULL);
}

/* -- nodes and names -- */

static uint16_t place_of(uint32_t dir, const char *name, bool is_dir)
{
	if (rec.places[dir] & (PLACE_BLOBS | PLACE_BLOB_DIRS))
		return is_dir ? PLACE_BLOB_DIRS : PLACE_BLOB;
	if (!strcmp(name, "blobs"))
		return PLACE_BLOBS;
	if (!strcmp(name, "index.mdb") || !strcmp(name, "index.new"))
		return PLACE_INDEX;
	if (!strncmp(name, "rescued", 7))
		return PLACE_LIST;
	return !strncmp(name, "steady", 6) ? PLACE_STEADY : PLACE_OTHER;
}

uint32_t record_node(int fd)
{
	if (!atomic_load(&rec.on) || fd < 0 || fd >= FDS_MAX)
		return NODE_ALL;
	return atomic_load(&rec.fds[fd]) - 1;
}

bool record_tracks(int at, const char *path)
{
	if (!atomic_load(&rec.on) || !path)
		return false;
	if (path[0] == '/')
		return !strncmp(path, rec.root, rec.root_bytes) &&
		       (path[rec.root_bytes] == '/' || !path[rec.root_bytes]);
	return at != AT_FDCWD && record_node(at) != NODE_ALL;
}

bool record_find(int at, const char *path, uint32_t *dir, const char **name)
{
	char part[ENTRY_NAME_BYTES];
	if (!record_tracks(at, path))
		return false;
	*dir = path[0] == '/' ? NODE_ROOT : record_node(at);
	if (path[0] == '/')
		path += rec.root_bytes;
	while (*path == '/')
		path++;
	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		*dir = record_lookup(*dir, part);
		if (*dir == NODE_ALL)
			return false;
	}
	*name = path;
	return true;
}

uint32_t record_lookup(uint32_t dir, const char *name)
{
	if (!name[0] || !strcmp(name, "."))
		return dir;
	const struct entry *entry = entries_find(&rec.names, dir, name);
	return entry ? entry->node : NODE_ALL;
}

void record_opened(int fd, uint32_t node, bool dsync)
{
	if (fd >= FDS_MAX)
		broken("too many files are open");
	atomic_store(&rec.fds[fd], node + 1);
	atomic_store(&rec.dsync[fd], dsync);
}

bool record_is_dsync(int fd)
{
	return atomic_load(&rec.dsync[fd]);
}

void record_closed(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		atomic_store(&rec.fds[fd], 0);
}

/* -- changes -- */

uint32_t record_made(uint32_t dir, const char *name, bool is_dir)
{
	if (rec.nodes == NODES_MAX)
		broken("too many files were made");
	uint32_t node = rec.nodes++;
	rec.places[node] = place_of(dir, name, is_dir);
	rec.is_dir[node] = is_dir;
	entries_set(&rec.names, dir, name, node, is_dir);
	struct event *event = log_add(rec.log, EVENT_MAKE);
	event->dir = dir;
	event->node = node;
	event->flag = is_dir;
	event->text = log_text(rec.log, name);
	return node;
}

void record_unlinked(uint32_t dir, const char *name)
{
	entries_remove(&rec.names, dir, name);
	struct event *event = log_add(rec.log, EVENT_UNLINK);
	event->dir = dir;
	event->text = log_text(rec.log, name);
}

void record_renamed(uint32_t dir, const char *from, const char *to, bool exchange)
{
	struct entry *first = entries_find(&rec.names, dir, from), *second = entries_find(&rec.names, dir, to);
	if (!first || first->is_dir || (exchange && !second))
		broken("a rename that the recorder does not know: %s", from);
	struct event *event = log_add(rec.log, EVENT_RENAME);
	event->dir = dir;
	event->node = first->node;
	event->node2 = exchange ? second->node : NODE_ALL;
	event->flag = exchange;
	event->text = log_text(rec.log, from);
	event->text2 = log_text(rec.log, to);
	entries_set(&rec.names, dir, to, event->node, false);
	if (exchange)
		entries_set(&rec.names, dir, from, event->node2, false);
	else
		entries_remove(&rec.names, dir, from);
}

bool record_is_stream(uint32_t node)
{
	return rec.places[node] & PLACE_LIST;
}

void record_linked(uint32_t dir, const char *name, uint32_t node)
{
	entries_set(&rec.names, dir, name, node, false);
	struct event *event = log_add(rec.log, EVENT_MAKE);
	event->dir = dir;
	event->node = node;
	event->flag = false;
	event->text = log_text(rec.log, name);
}

/* Two changes, of two folders: in an image, either may have happened. */
void record_moved(uint32_t from_dir, const char *from, uint32_t to_dir, const char *to)
{
	const struct entry *entry = entries_find(&rec.names, from_dir, from);
	if (!entry || entry->is_dir)
		broken("a rename that the recorder does not know: %s", from);
	record_linked(to_dir, to, entry->node);
	record_unlinked(from_dir, from);
}

void record_written(uint32_t node, uint64_t offset, const void *bytes, size_t length)
{
	struct event *event = log_add(rec.log, EVENT_WRITE);
	event->node = node;
	event->offset = offset;
	event->length = length;
	event->data = log_bytes(rec.log, bytes, length);
}

void record_sized(uint32_t node, uint64_t length)
{
	struct event *event = log_add(rec.log, EVENT_SIZE);
	event->node = node;
	event->length = length;
}

void record_synced(uint32_t node)
{
	struct event *event = log_add(rec.log, EVENT_SYNC);
	event->node = node;
	event->offset = rec.log->count - 1;
}

void record_sync(uint32_t node)
{
	pthread_mutex_lock(&rec.lock);
	size_t begin = rec.log->count;
	unsigned place = node == NODE_ALL ? PLACE_ALL : rec.places[node];
	pthread_mutex_unlock(&rec.lock);
	record_nap(begin % 8 ? 400 : 4000);
	if (place & rec.lies)
		return;
	pthread_mutex_lock(&rec.lock);
	struct event *event = log_add(rec.log, EVENT_SYNC);
	event->node = node;
	event->offset = begin;
	pthread_mutex_unlock(&rec.lock);
}

/* -- start and stop -- */

static void adopt_file(const char *path, uint32_t node)
{
	char bytes[65536];
	uint64_t at = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		record_written(node, at, bytes, (size_t)n);
		at += (uint64_t)n;
	}
	if (fd < 0 || n < 0)
		broken("%s: %s", path, strerror(errno));
	close(fd);
}

static void adopt_folder(const char *path, uint32_t node)
{
	char below[512];
	struct dirent *entry;
	DIR *stream = opendir(path);
	if (!stream)
		broken("%s: %s", path, strerror(errno));
	while ((entry = readdir(stream))) {
		bool is_dir = entry->d_type == DT_DIR;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		uint32_t made = record_made(node, entry->d_name, is_dir);
		if (is_dir)
			adopt_folder(below, made);
		else
			adopt_file(below, made);
	}
	closedir(stream);
}

void record_start(struct log *log, const char *folder, uint64_t seed, unsigned lies)
{
	rec.log = log;
	rec.lies = lies;
	rec.names.count = 0;
	rec.nodes = NODE_ROOT + 1;
	rec.places[NODE_ROOT] = PLACE_FOLDER;
	rec.is_dir[NODE_ROOT] = true;
	atomic_store(&rec.random, seed);
	snprintf(rec.root, sizeof(rec.root), "%s", folder);
	rec.root_bytes = strlen(rec.root);
	for (size_t i = 0; i < FDS_MAX; i++)
		atomic_store(&rec.fds[i], 0);
	adopt_folder(folder, NODE_ROOT);
	record_synced(NODE_ALL);
	atomic_store(&rec.on, true);
}

void record_stop(void)
{
	atomic_store(&rec.on, false);
}

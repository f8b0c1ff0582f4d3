/* How much of the map is resident. Pages that a lookup touches stay mapped and count as the
 * program's memory, up to the whole index, although they are only the kernel's cache of a file. So
 * that memory does not grow with the number of files, the map is forgotten when too much of it is
 * resident (MADV_DONTNEED: the page cache keeps the pages, the next touch maps them again, 16 at a
 * time). An index that fits is never forgotten. Asking how much it is costs two microseconds, so
 * only every 64th transaction asks.
 *
 * LMDB does not say where its map is; the kernel does. Without /proc nothing is forgotten, and
 * nothing else is lost. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "internal.h"

enum { ASK_EVERY = 64, RESIDENT_BYTES_MAX = 80 << 20 };

static void find(FILE *maps, const struct stat *st, void **map, size_t *map_bytes)
{
	char line[512];
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t start, end;
		uint64_t inode;
		unsigned high, low;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %x:%x %" SCNu64, &start, &end,
			   &high, &low, &inode) != 5)
			continue;
		if (inode != st->st_ino || makedev(high, low) != st->st_dev)
			continue;
		*map = (void *)start;
		*map_bytes = end - start;
	}
}

void map_find(int file_fd, void **map, size_t *map_bytes)
{
	struct stat st;
	FILE *maps = fopen("/proc/self/maps", "re");
	if (maps && fstat(file_fd, &st) == 0)
		find(maps, &st, map, map_bytes);
	if (maps)
		fclose(maps);
}

void map_open(struct index *index)
{
	map_find(index->file_fd, &index->map, &index->map_bytes);
	index->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

void map_close(struct index *index)
{
	if (index->statm_fd >= 0)
		close(index->statm_fd);
}

/* Of all files that are mapped; the index is the only large one. */
static uint64_t resident_bytes(int statm_fd)
{
	char text[128];
	uint64_t pages;
	ssize_t length = pread(statm_fd, text, sizeof(text) - 1, 0);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	return sscanf(text, "%*u %*u %" SCNu64, &pages) == 1
		   ? pages * (uint64_t)sysconf(_SC_PAGESIZE)
		   : 0;
}

void map_used(struct index *index)
{
	if (!index->map || atomic_fetch_add(&index->map_uses, 1) % ASK_EVERY != 0)
		return;
	if (resident_bytes(index->statm_fd) > RESIDENT_BYTES_MAX)
		madvise(index->map, index->map_bytes, MADV_DONTNEED);
}

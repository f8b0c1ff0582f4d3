/* Blobs are written, never punched. Holes come from a truncate to a larger size, a write behind the end or a copy of such a
 * file (NODE_SPARSE says so), from what is not fetched yet (the present ranges say so), and from a filesystem that keeps
 * blocks of zeros as holes, as ZFS does with compression. Any other hole is data that did not get to the disk. */
#include "sound.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { PROBE_BYTES = 256 << 10 };

/* Does [start, end) begin with data and go on without a hole? */
static bool is_solid(int fd, uint64_t start, uint64_t end)
{
	off_t hole = lseek(fd, (off_t)start, SEEK_HOLE);
	return hole < 0 || (uint64_t)hole >= end; /* where it cannot say, there is no reason to doubt */
}

static bool ranges_sound(const struct flow *flow, const struct ranges *present, int fd, uint64_t length)
{
	for (size_t i = 0; i < present->count; i++) {
		const struct range *r = &present->items[i];
		if (r->end > length || (flow->holes_tell && !is_solid(fd, r->start, r->end)))
			return false;
	}
	return true;
}

bool sound_blob(const struct flow *flow, const struct sound_claim *claim, int fd)
{
	struct stat st;
	if (claim->blob >= flow->doubted_below || fstat(fd, &st) != 0)
		return true;
	uint64_t length = (uint64_t)st.st_size;
	if (claim->content == CONTENT_REMOTE)
		return ranges_sound(flow, claim->present, fd, length);
	if (length < claim->size)
		return false;
	return claim->size == 0 || claim->sparse || !flow->holes_tell || is_solid(fd, 0, claim->size);
}

bool sound_record(const struct flow *flow, const struct node_record *record, int fd)
{
	const struct sound_claim claim = {record->blob, record->size, record->content,
					  (record->flags & NODE_SPARSE) != 0, NULL};
	return record->content == CONTENT_REMOTE || sound_blob(flow, &claim, fd);
}

static bool zeros_are_data(int folder_fd)
{
	static const char zeros[PROBE_BYTES];
	AUTO_CLOSE int fd = openat(folder_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0 || blob_write(fd, 0, zeros, sizeof(zeros)) != 0 || fsync(fd) != 0)
		return false;
	return lseek(fd, 0, SEEK_HOLE) == PROBE_BYTES;
}

void sound_doubt(struct flow *flow, uint64_t end, int folder_fd)
{
	flow->doubted_below = end;
	flow->holes_tell = zeros_are_data(folder_fd);
}

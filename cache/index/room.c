/* Room on the disk that index.mdb has ahead of its last page (fallocate, the size stays), so that on a disk which somebody else
 * has filled it can still be written: what evicts, and what settles what was sent, makes room by changing the index.
 *
 *     |---- pages ----|-------- ROOM_BYTES --------|
 *                     file_bytes                   room_end
 *
 * A commit that has used a quarter of it asks for more. Where the disk has none and half is used, the index is tight: who
 * would only add to it is to be refused (index_tight). Where fallocate is not known, or does not help (filesystems that
 * write elsewhere each time), all is as it would be without. */
#include <errno.h>
#include <fcntl.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "internal.h"

enum { ROOM_BYTES = 8 << 20, ASK_AGAIN_MS = 50 };

static uint64_t left(const struct index *index)
{
	uint64_t used = atomic_load(&index->file_bytes);
	return index->room.end > used ? index->room.end - used : 0;
}

static void set_tight(struct index *index, bool tight)
{
	if (atomic_exchange(&index->room.tight, tight) == tight)
		return;
	if (tight)
		log_warn("index: the disk is full, what is left for index.mdb is kept for making room; new names are "
			 "refused until then");
	else
		log_info("index: the disk has room again");
}

void room_keep(struct index *index)
{
	struct room *room = &index->room;
	if (room->unknown || left(index) >= ROOM_BYTES / 4 * 3)
		return;
	int64_t now_ms = clock_ms();
	if (atomic_load(&room->tight) && now_ms < room->asked_ms + ASK_AGAIN_MS)
		return;
	room->asked_ms = now_ms;
	uint64_t used = atomic_load(&index->file_bytes);
	if (fallocate(index->file_fd, FALLOC_FL_KEEP_SIZE, (off_t)used, ROOM_BYTES) == 0)
		room->end = used + ROOM_BYTES;
	else if (errno != ENOSPC && errno != EDQUOT)
		room->unknown = true;
	set_tight(index, !room->unknown && left(index) < ROOM_BYTES / 2);
}

bool index_tight(struct index *index)
{
	if (!atomic_load(&index->room.tight))
		return false;
	lock_take(&index->writer);
	room_keep(index);
	lock_drop(&index->writer);
	return atomic_load(&index->room.tight);
}

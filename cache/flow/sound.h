/* Sound: is the file of a blob what its record says, as far as its length and its holes tell?
 *
 * Asked of blobs that are older than the start, after a power cut, when they are opened: so a start costs nothing, and a
 * byte that is not known to be present is not served or sent. A disk that keeps its promises passes: a checkpoint has made
 * every blob durable that the index names. Pure but for the file. */
#ifndef TOOTFS_SOUND_H
#define TOOTFS_SOUND_H

#include "cache/blob/ranges.h"
#include "cache/index/nodes.h"
#include "flow.h"

struct sound_claim {
	uint64_t blob, size;
	enum content content;
	bool sparse;		      /* it may have holes */
	const struct ranges *present; /* of a REMOTE one */
};

/* true where nobody has reason to doubt. */
bool sound_blob(const struct flow *flow, const struct sound_claim *claim, int fd);
/* The same for a record; a partial blob is not looked at. */
bool sound_record(const struct flow *flow, const struct node_record *record, int fd);
/* From now on (before the threads) blobs below `end` are doubted. folder_fd: the cache folder, where it is tried out
 * whether this filesystem makes holes of zeros by itself, so that holes say nothing. */
void sound_doubt(struct flow *flow, uint64_t end, int folder_fd);

#endif

/* A GET that goes on where the attempt before it ended. */
#ifndef TOOTFS_RESUME_H
#define TOOTFS_RESUME_H

#include "door.h"

struct resume {
	struct sink sink; /* what the implementation sees; must stay the first member */
	const struct get_request *asked;
	struct bucket *bucket;
	uint64_t next;         /* the offset of the next byte */
	uint64_t end, size;    /* of what was asked for, of the object; known when begun */
	bool begun;            /* in any attempt */
	bool got_on;           /* in this attempt */
	char etag[ETAG_BYTES]; /* of the first answer */
	int ended;             /* what the user's sink returned, or what we found wrong, or 0 */
	bool wrong;            /* it was us; words in why */
	char why[256];
};

void resume_init(struct resume *r, struct bucket *b, const struct get_request *asked);
attempt_fn resume_attempt; /* arg is the struct resume */

#endif

/* One call of the protocol: a request in, an answer out. */
#ifndef TOOTFS_DOCKER_CALLS_H
#define TOOTFS_DOCKER_CALLS_H

#include <stddef.h>
#include "cache/base/buf.h"
#include "volumes.h"

/* Returns the HTTP status, 200, or 500 with {"Err": …}: podman takes an Err with 200 for a success. answer: JSON. undo: the
 * name and ID of a mount that somebody waits for, both malloc'ed; NULL where there is none. */
struct calls_undo {
	char *name, *id;
};
unsigned calls_answer(struct volumes *v, const char *path, const struct buf *body, struct buf *answer,
		      struct calls_undo *undo);
/* An answer to what is no call. */
void calls_refuse(struct buf *answer, const char *text);
/* The answer did not arrive: the engine takes the mount as failed, and will not unmount. */
void calls_undo(struct volumes *v, struct calls_undo *undo);
void calls_undo_destroy(struct calls_undo *undo);

#endif

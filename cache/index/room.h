/* Room on the disk that index.mdb has ahead of its last page; index.c, txn.c and room.c only. */
#ifndef TOOTFS_INDEX_ROOM_H
#define TOOTFS_INDEX_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct index;

/* Guarded by index->writer, but for tight. */
struct room {
	uint64_t end;	  /* allocated up to here */
	int64_t asked_ms;
	bool unknown;	  /* this filesystem cannot */
	_Atomic bool tight;
};

/* After a commit, with index->writer held, or alone. */
void room_keep(struct index *index);

#endif

/* What the bucket is to have at a key: every change of pending goes through here, inside the caller's write
 * transaction, so that PUT, DELETE, PUT of one key collapse into the last wish and a content that
 * the bucket has nowhere else is never overwritten or deleted before it was copied.
 *
 * home: the key at which the bucket has a node's content while that is not yet the node's own key (after a rename).
 * The pending record of that key then `holds` the node: neither PUT nor DELETE of the key is sent until the node
 * has left it (its content is at its own key, or it was changed and is DIRTY with a blob, or the node is deleted).
 *
 * Errors are the index's. */
#ifndef TOOTFS_WANT_H
#define TOOTFS_WANT_H

#include "cache/index/nodes.h"
#include "cache/index/pending.h"

/* key is to have node at its version. */
int want_put(struct txn *txn, struct index *index, const char *key,
	     const struct node_record *node) MUST_CHECK;
/* The same for every name of the node (record->nlink, primary and links). */
int want_put_names(struct txn *txn, struct index *index, const struct node_record *record) MUST_CHECK;
/* Only the object's headers are to be renewed (attrs=object); nothing where a PUT is pending anyway. */
int want_attrs(struct txn *txn, const char *key, const struct node_record *node) MUST_CHECK;
/* key is to have no object. holds: a node that still lives there (its home), or 0. A wish that was never sent
 * and made no object is forgotten instead (see want.c). */
int want_absent(struct txn *txn, struct index *index, const char *key, uint64_t holds) MUST_CHECK;
/* One name of a node changes its key, in two steps, so that two nodes can change places: first both move away, then both
 * move in. primary: the name that stands in the record. node->home is updated; the caller puts the record. */
struct want_moved {
	const char *from, *to;
	bool primary;
};
int want_move_away(struct txn *txn, struct index *index, struct node_record *node,
		   const struct want_moved *moved) MUST_CHECK;
int want_move_in(struct txn *txn, struct index *index, struct node_record *node,
		 const struct want_moved *moved) MUST_CHECK;
/* The node loses its name `key` and goes on living: under primary, its primary key from now on (was_primary: that
 * was `key` until now), or, where primary is NULL, without a name but open. node->home is updated; the caller puts
 * the record. */
struct want_left {
	const char *key, *primary;
	bool was_primary;
};
int want_leave(struct txn *txn, struct index *index, struct node_record *node,
	       const struct want_left *left) MUST_CHECK;
/* May a request for this record's key be sent, as far as `holds` is concerned? Clears a hold that is over in
 * *record (not in the table). 0 = yes, -EBUSY = not yet. */
int want_held(struct txn *txn, struct pending_record *record) MUST_CHECK;
/* The object that node's content can be copied from: its home, or its own key where no PUT is pending. false: nowhere. */
bool want_source(struct txn *txn, const struct node_record *node, char out[KEY_BYTES_MAX + 1]);

#endif

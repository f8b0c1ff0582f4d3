/* Merging wishes.
 *
 * A record is forgotten instead of turned into ABSENT only where no request for it can have been sent. The
 * sender reads `covered`, then begins a read transaction, then takes records with txn <= covered. Forgetting
 * happens in a write transaction, where no checkpoint can begin, and asks for txn > pinned >= covered:
 *   1. the sender's snapshot still has the record → it began before our commit → so did its look at covered
 *   2. covered then <= pinned now < record.txn    → the sender does not take it.
 * So `fresh` (no object was there when the wish arose) survives a rewrite of the record only while the former
 * record was still uncovered in that sense; otherwise an older version may be in flight. */
#include "want.h"

#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"

/* The record as it is, or an empty one for the key. */
static int record_of(struct txn *txn, const char *key, struct pending_record *record, bool *found)
{
	int r = pending_get(txn, key, record);
	*found = r == 0;
	if (r != -ENOENT)
		return r;
	memset(record, 0, sizeof *record);
	strcpy(record->key, key);
	return 0;
}

static bool never_sent(const struct index *index, const struct pending_record *record)
{
	return record->want == PENDING_PUT && record->fresh && !record->holds &&
	       record->txn > index_pinned(index);
}

static void wish_anew(struct pending_record *record)
{
	record->attempts = 0;
	record->retry_ns = 0;
	if (!record->since_ns)
		record->since_ns = clock_wall_ns();
}

int want_put(struct txn *txn, struct index *index, const char *key, const struct node_record *node)
{
	struct pending_record record;
	bool found;
	int r = record_of(txn, key, &record, &found);
	if (r)
		return r;
	record.fresh = found ? never_sent(index, &record) : node->etag[0] == '\0';
	record.want = PENDING_PUT;
	record.ino = node->ino;
	record.version = node->version;
	record.attrs_only = false;
	wish_anew(&record);
	return pending_put(txn, &record);
}

struct names_to_put {
	struct txn *txn;
	struct index *index;
	const struct node_record *record;
};

static int put_name(void *arg, uint64_t parent, const char *name)
{
	struct names_to_put *p = arg;
	char key[KEY_BYTES_MAX + 1];
	int r = nodes_key_of_name(p->txn, parent, name, key);
	return r ? r : want_put(p->txn, p->index, key, p->record);
}

int want_put_names(struct txn *txn, struct index *index, const struct node_record *record)
{
	struct names_to_put p = {txn, index, record};
	int r = put_name(&p, record->parent, record->name);
	if (!r && record->nlink > 1)
		r = links_each(txn, record->ino, put_name, &p);
	return r;
}

int want_attrs(struct txn *txn, const char *key, const struct node_record *node)
{
	struct pending_record record;
	bool found;
	int r = record_of(txn, key, &record, &found);
	if (r || found)
		return r;
	record.want = PENDING_PUT;
	record.ino = node->ino;
	record.version = node->version;
	record.attrs_only = true;
	wish_anew(&record);
	return pending_put(txn, &record);
}

int want_absent(struct txn *txn, struct index *index, const char *key, uint64_t holds)
{
	struct pending_record record;
	bool found;
	int r = record_of(txn, key, &record, &found);
	if (r)
		return r;
	if (found && !holds && never_sent(index, &record))
		return pending_delete(txn, key);
	record.want = PENDING_ABSENT;
	record.ino = 0;
	record.version = 0;
	record.fresh = false;
	record.attrs_only = false;
	if (holds)
		record.holds = holds;
	wish_anew(&record);
	return pending_put(txn, &record);
}

/* Is a PUT of content (not only headers) to this key outstanding? */
static int awaits_content(struct txn *txn, const char *key, bool *out)
{
	struct pending_record record;
	int r = pending_get(txn, key, &record);
	*out = r == 0 && !(record.want == PENDING_PUT && record.attrs_only);
	return r == -ENOENT ? 0 : r;
}

int want_move_away(struct txn *txn, struct index *index, struct node_record *node,
		   const struct want_moved *moved)
{
	bool lives_here = false;
	if (node->content != CONTENT_DIRTY) {
		lives_here = node->home[0] ? !strcmp(node->home, moved->from) : moved->primary;
		if (lives_here)
			strcpy(node->home, moved->from);
	}
	return want_absent(txn, index, moved->from, lives_here ? node->ino : 0);
}

int want_move_in(struct txn *txn, struct index *index, struct node_record *node,
		 const struct want_moved *moved)
{
	if (node->content == CONTENT_DIRTY || !moved->primary || strcmp(node->home, moved->to))
		return want_put(txn, index, moved->to, node);
	/* back to where its content still is */
	node->home[0] = '\0';
	int r = pending_delete(txn, moved->to);
	return r == -ENOENT ? 0 : r;
}

/* The primary key changed to one of the node's others. That object is a copy, whose ETag nobody noted (it may differ
 * from the node's: multipart, encryption, a folder as the bucket), so the content is copied there once more and the
 * node moves in with that. */
static int move_to_primary(struct txn *txn, struct index *index, struct node_record *node,
			   const char *primary)
{
	bool awaits;
	if (!strcmp(node->home, primary)) {
		node->home[0] = '\0';
		int r = pending_delete(txn, primary);
		return r == -ENOENT ? 0 : r;
	}
	int r = awaits_content(txn, primary, &awaits);
	return r || awaits ? r : want_put(txn, index, primary, node);
}

int want_leave(struct txn *txn, struct index *index, struct node_record *node,
	       const struct want_left *left)
{
	bool sent = node->content != CONTENT_DIRTY, lives_here = false;
	int r = 0;
	if (sent)
		lives_here = node->home[0] ? !strcmp(node->home, left->key) : left->was_primary;
	if (!left->primary && node->content == CONTENT_CLEAN)
		lives_here = false; /* all of it is here, and is not evicted while it is open */
	if (lives_here)
		strcpy(node->home, left->key);
	if (sent && left->primary && node->home[0])
		r = move_to_primary(txn, index, node, left->primary);
	return r ? r : want_absent(txn, index, left->key, lives_here ? node->ino : 0);
}

int want_held(struct txn *txn, struct pending_record *record)
{
	struct node_record holder;
	if (!record->holds)
		return 0;
	int r = nodes_get(txn, record->holds, &holder);
	if (r == 0 && holder.content != CONTENT_DIRTY && !strcmp(holder.home, record->key))
		return -EBUSY;
	if (r && r != -ENOENT)
		return r;
	record->holds = 0;
	return 0;
}

bool want_source(struct txn *txn, const struct node_record *node, char out[KEY_BYTES_MAX + 1])
{
	if (node->content == CONTENT_DIRTY)
		return false;
	if (node->home[0]) {
		strcpy(out, node->home);
		return true;
	}
	bool awaits;
	if (nodes_key(txn, node->ino, out) || awaits_content(txn, out, &awaits))
		return false;
	return !awaits;
}

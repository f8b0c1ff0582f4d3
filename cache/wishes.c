/* The table is in the order of its keys, with one exception: keys of more than 511 bytes stand anywhere among those that
 * share their first 495 bytes. So the walk goes over all that share up to 494 bytes with the folder, and takes out what
 * is below it. The key itself stands before its folder's, and apart from them ("a-b" comes between "a" and "a/b"). */
#include "wishes.h"

#include <errno.h>
#include <string.h>

enum { ORDERED_BYTES = 494 };

void wishes_begin(struct wishes *w, struct index *index, const char *key)
{
	size_t length = strlen(key);

	memset(w, 0, sizeof(*w));
	w->index = index;
	w->begun = !length; /* there is no key above all */
	if (!length)
		return;
	memcpy(w->folder, key, length);
	w->folder[length++] = '/';
	memcpy(w->position, w->folder, length < ORDERED_BYTES ? length : ORDERED_BYTES);
}

/* -ENOENT: there is none. */
static int find_itself(struct wishes *w, struct txn *txn, struct pending_record *record)
{
	char key[KEY_BYTES_MAX + 2];
	size_t length = strlen(w->folder);

	memcpy(key, w->folder, length);
	key[length - 1] = '\0';
	return pending_get(txn, key, record);
}

static int find_next(struct wishes *w, struct txn *txn, struct pending_record *record)
{
	size_t length = strlen(w->folder), ordered = length < ORDERED_BYTES ? length : ORDERED_BYTES;
	int r;

	do {
		r = pending_next(txn, w->position, record);
		if (r)
			return r;
		if (strncmp(record->key, w->folder, ordered) != 0)
			return -ENOENT;
		memcpy(w->position, record->key, sizeof(w->position));
	} while (strncmp(record->key, w->folder, length) != 0);
	return 0;
}

int wishes_slice(struct wishes *w, unsigned count, wish_visit *visit, void *arg)
{
	struct txn *txn AUTO_ABORT = NULL;
	struct pending_record record;
	int r = txn_begin_read(w->index, &txn);

	for (unsigned i = 0; i < count && r == 0 && !w->ended; i++) {
		bool itself = !w->begun;

		w->begun = true;
		r = itself ? find_itself(w, txn, &record) : find_next(w, txn, &record);
		w->ended = r == -ENOENT && !itself;
		if (r == 0)
			r = visit(arg, txn, &record);
		else if (r == -ENOENT)
			r = 0;
	}
	return r;
}

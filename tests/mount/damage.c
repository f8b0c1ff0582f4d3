/* Damage on purpose, for the tests of fsck.tootfs: changes the closed index of a file:// or s3:// cache, as a bug would.
 *
 *     damage CACHE WHAT KEY [NUMBER]
 *
 *     dirty KEY      unsent, without a wish            settled KEY    unsent, with a wish, though the bucket has it
 *     absent KEY     a wish for the absence of KEY     name KEY       a name that leads to nothing
 *     age KEY        an age without a copy             totals KEY     the sums are wrong
 *     blob KEY       says which blob the file has      time KEY       changed now, whatever the bucket says
 *     unsent KEY     unsent, with a wish               forget KEY     the index knows nothing of the file any more */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/index/ages.h"
#include "cache/index/internal.h"
#include "cache/index/names.h"
#include "cache/index/nodes.h"
#include "cache/index/pending.h"

static char identity[2048];

static int say(const char *what, int error)
{
	fprintf(stderr, "damage: %s: %s\n", what, strerror(-error));
	return 1;
}

static int find(struct txn *txn, const char *key, uint64_t *parent, struct name *name)
{
	char text[NAME_BYTES_MAX + 1];
	int r = 0;

	*parent = INO_ROOT;
	for (const char *at = key, *slash; !r; at = slash + 1) {
		slash = strchr(at, '/');
		snprintf(text, sizeof(text), "%.*s", (int)(slash ? (size_t)(slash - at) : strlen(at)), at);
		r = names_get(txn, *parent, text, name);
		if (!slash)
			break;
		*parent = name->ino;
	}
	return r;
}

static int wish(struct txn *txn, const char *key, enum pending_want want, const struct node_record *node)
{
	struct pending_record record = {.want = want, .since_ns = clock_wall_ns() - INT64_C(3600000000000)};

	snprintf(record.key, sizeof(record.key), "%s", key);
	if (node) {
		record.ino = node->ino;
		record.version = node->version;
	}
	return pending_put(txn, &record);
}

static int make_dirty(struct txn *txn, struct node_record *node)
{
	node->content = CONTENT_DIRTY;
	node->etag[0] = '\0';
	return nodes_put(txn, node);
}

static int damage_node(struct txn *txn, const char *what, const char *key, struct node_record *node)
{
	int r = 0;

	if (!strcmp(what, "dirty")) {
		r = make_dirty(txn, node);
	} else if (!strcmp(what, "settled") || !strcmp(what, "unsent")) {
		r = make_dirty(txn, node);
		r = r ? r : wish(txn, key, PENDING_PUT, node);
	} else if (!strcmp(what, "age")) {
		node->content = CONTENT_REMOTE;
		node->blob = 0;
		node->present_bytes = 0;
		r = nodes_put(txn, node);
	} else if (!strcmp(what, "totals")) {
		txn_counters_edit(txn)->bytes += 12345;
	} else if (!strcmp(what, "time")) {
		node->mtime_ns = clock_wall_ns() + INT64_C(3600000000000);
		r = nodes_put(txn, node);
	} else if (!strcmp(what, "blob")) {
		printf("%" PRIx64 "/%" PRIx64 "\n", node->blob >> 12, node->blob);
	} else {
		r = -EINVAL;
	}
	return r;
}

static int damage(struct txn *txn, const char *what, const char *key)
{
	struct node_record node;
	struct name name;
	uint64_t parent;
	int r;

	if (!strcmp(what, "absent"))
		return wish(txn, key, PENDING_ABSENT, NULL);
	r = find(txn, key, &parent, &name);
	if (!strcmp(what, "name"))
		return names_put(txn, parent, strrchr(key, '/') ? strrchr(key, '/') + 1 : key, false, 999999999, 0);
	if (r)
		return r;
	r = nodes_get(txn, name.ino, &node);
	if (!r && !strcmp(what, "forget")) {
		r = names_delete(txn, parent, name.text, false);
		return r ? r : nodes_delete(txn, name.ino);
	}
	return r ? r : damage_node(txn, what, key, &node);
}

/* The cache is not asked which bucket it is for: it says so when another is named. */
static int open_index_of(const char *folder, struct index **out)
{
	struct index_config config = {.folder = folder, .identity = ""};
	AUTO_BUF struct buf why = BUF_EMPTY;
	enum index_start start;
	int r = index_open(&config, out, &start, &why);

	if (r != -EMEDIUMTYPE)
		return r;
	const char *from = strstr(buf_string(&why), "made for "), *to = strstr(buf_string(&why), ", not for ");
	if (!from || !to)
		return r;
	snprintf(identity, sizeof(identity), "%.*s", (int)(to - from - 9), from + 9);
	config.identity = identity;
	buf_clear(&why);
	return index_open(&config, out, &start, &why);
}

int main(int argc, char **argv)
{
	struct index_checkpoint *checkpoint;
	struct index *index;
	struct txn *txn = NULL;

	if (argc < 4)
		return 2;
	int r = open_index_of(argv[1], &index);
	if (r)
		return say(argv[1], r);
	r = txn_begin_write(index, &txn);
	if (!r)
		r = damage(txn, argv[2], argv[3]);
	if (!r)
		r = txn_commit(&txn);
	txn_abort(&txn);
	if (!r)
		r = index_checkpoint_begin(index, &checkpoint);
	if (!r)
		r = index_checkpoint_commit(&checkpoint);
	if (!r)
		r = index_mark_clean(index);
	index_close(&index);
	return r ? say(argv[3], r) : 0;
}

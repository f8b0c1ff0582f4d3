/* Every layout: what is written is read again, also at the limits; nothing that is cut off or made
 * up is accepted as something that it is not. */
#include "index_fixture.h"
#include "cache/index/record.h"

static const char *const etags[] = {
    "",
    "d41d8cd98f00b204e9800998ecf8427e",
    "d41d8cd98f00b204e9800998ecf8427e-1",
    "d41d8cd98f00b204e9800998ecf8427e-10000",
    "d41d8cd98f00b204e9800998ecf8427e-99999",
    "d41d8cd98f00b204e9800998ecf8427e-100000",
    "d41d8cd98f00b204e9800998ecf8427e-0",
    "d41d8cd98f00b204e9800998ecf8427e-01",
    "d41d8cd98f00b204e9800998ecf8427e-",
    "d41d8cd98f00b204e9800998ecf8427e-1x",
    "D41D8CD98F00B204E9800998ECF8427E",
    "d41d8cd98f00b204e9800998ecf8427",
    "d41d8cd98f00b204e9800998ecf8427g",
    "W/weak",
    "\xff\x01",
};

static void fill_text(char *out, size_t length)
{
	for (size_t i = 0; i < length; i++)
		out[i] = (char)('a' + i % 26);
	out[length] = '\0';
}

static void assert_same_node(const struct node_record *a, const struct node_record *b)
{
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->parent, b->parent);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->nlink, b->nlink);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->atime_ns, b->atime_ns);
	assert_int_equal(a->mtime_ns, b->mtime_ns);
	assert_int_equal(a->ctime_ns, b->ctime_ns);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->content, b->content);
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->blob, b->blob);
	assert_string_equal(a->etag, b->etag);
	assert_string_equal(a->home, b->home);
	assert_int_equal(a->present_bytes, b->present_bytes);
	assert_memory_equal(a->present, b->present, a->present_bytes);
}

/* Also that nothing shorter or longer is accepted. Returns the bytes. */
static size_t round_trip(const struct node_record *r)
{
	uint8_t bytes[RECORD_NODE_BYTES_MAX + 1];
	struct node_record back;
	struct record_node_head head;

	assert_true(record_node_valid(r));
	size_t length = record_node_encode(bytes, r);
	assert_int_equal(record_node_decode(&back, r->ino, bytes, length), 0);
	assert_same_node(r, &back);
	assert_int_equal(record_node_head(&head, r->ino, bytes, length), 0);
	assert_int_equal(head.type, r->mode & S_IFMT);
	assert_int_equal(head.size, r->size);
	assert_int_equal(head.parent, r->parent);
	assert_int_equal(head.name_bytes, strlen(r->name));
	assert_memory_equal(head.name, r->name, head.name_bytes);
	for (size_t cut = 0; cut < length; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1); /* so that a read behind it is seen */
		memcpy(exact, bytes, cut);
		assert_int_equal(record_node_decode(&back, r->ino, exact, cut), -EUCLEAN);
		free(exact);
	}
	bytes[length] = 0;
	assert_int_equal(record_node_decode(&back, r->ino, bytes, length + 1), -EUCLEAN);
	return length;
}

static struct node_record fullest(void)
{
	struct node_record r = {
	    .ino = UINT64_MAX,
	    .parent = UINT64_MAX / 2,
	    .mode = S_IFREG | 07777,
	    .uid = UINT32_MAX,
	    .gid = UINT32_MAX - 1,
	    .nlink = UINT32_MAX,
	    .flags = NODE_GUESSED,
	    .atime_ns = INT64_MIN,
	    .mtime_ns = INT64_MAX,
	    .ctime_ns = -1,
	    .size = INT64_MAX,
	    .version = UINT64_MAX,
	    .blob = UINT64_MAX,
	    .present_bytes = NODE_PRESENT_BYTES,
	};
	fill_text(r.name, NAME_BYTES_MAX);
	fill_text(r.etag, NODE_ETAG_BYTES - 1);
	fill_text(r.home, KEY_BYTES_MAX);
	memset(r.present, 0xff, sizeof(r.present));
	return r;
}

static void node_limits(void **state)
{
	(void)state;
	struct node_record r = fullest();
	assert_in_range(round_trip(&r), 2400, RECORD_NODE_BYTES_MAX);
	r = (struct node_record){.ino = 1, .parent = 1, .mode = S_IFDIR, .nlink = 2};
	round_trip(&r);
	r = (struct node_record){
	    .ino = 2, .parent = UINT64_MAX, .name = "x", .mode = S_IFLNK, .nlink = 1};
	round_trip(&r);
	r = (struct node_record){.ino = 3, .mode = S_IFREG, .flags = NODE_ORPHAN};
	round_trip(&r);
}

static void node_etags(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(etags) / sizeof(etags[0]); i++) {
		struct node_record r = a_node(7, 1, "f", S_IFREG);
		snprintf(r.etag, sizeof(r.etag), "%s", etags[i]);
		round_trip(&r);
	}
}

static int64_t draw_time(void)
{
	static const int64_t times[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1700000000000000000};
	uint64_t i = draw(8);
	return i < 6 ? times[i] : (int64_t)(draw(1u << 31) << 32 | draw(1u << 31));
}

static uint64_t draw_number(void)
{
	unsigned bits = (unsigned)draw(65);
	uint64_t any = draw(1u << 31) << 33 | draw(1u << 31) << 2 | draw(4);
	return bits == 0 ? 0 : any >> (64 - bits);
}

static struct node_record draw_node(void)
{
	static const uint32_t types[] = {S_IFDIR, S_IFREG, S_IFLNK};
	struct node_record r = {
	    .ino = 2 + draw_number() / 2,
	    .parent = draw_number(),
	    .mode = types[draw(3)] | (uint32_t)draw(010000),
	    .uid = (uint32_t)draw_number(),
	    .gid = (uint32_t)draw_number(),
	    .nlink = 2 + (uint32_t)draw(300),
	    .flags = (uint32_t)draw(2) * NODE_GUESSED,
	    .atime_ns = draw_time(),
	    .mtime_ns = draw_time(),
	    .ctime_ns = draw_time(),
	};
	fill_text(r.name, 1 + draw(NAME_BYTES_MAX));
	if (draw(2))
		r.gid = r.uid;
	if (S_ISDIR(r.mode)) {
		r.flags |= (uint32_t)draw(2) * NODE_COMPLETE;
		return r;
	}
	r.size = draw_number() / 2;
	r.content = (enum content)draw(3);
	r.flags |= (uint32_t)draw(2) * NODE_SPARSE;
	r.version = draw_number();
	r.blob = draw_number() | (r.content != CONTENT_REMOTE);
	snprintf(r.etag, sizeof(r.etag), "%s", etags[draw(sizeof(etags) / sizeof(etags[0]))]);
	if (draw(3) == 0)
		fill_text(r.home, draw(KEY_BYTES_MAX + 1));
	if (r.content == CONTENT_REMOTE && r.blob && draw(2))
		r.present_bytes = (uint16_t)draw(NODE_PRESENT_BYTES + 1);
	for (size_t i = 0; i < r.present_bytes; i++)
		r.present[i] = (uint8_t)draw(256);
	return r;
}

static void node_random(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct node_record r = draw_node();
		round_trip(&r);
	}
}

static void node_invalid(void **state)
{
	(void)state;
	struct node_record good = a_node(7, 1, "f", S_IFREG), r;
	good.blob = 3;
	good.size = 4;
	assert_true(record_node_valid(&good));
#define BAD(change)                                                                                \
	do {                                                                                       \
		r = good;                                                                          \
		change;                                                                            \
		assert_false(record_node_valid(&r));                                               \
	} while (0)
	BAD(r.ino = 0);
	BAD(r.ino = INO_ROOT); /* with a name */
	BAD(r.name[0] = '\0');
	BAD(strcpy(r.name, "a/b"));
	BAD(strcpy(r.name, ".."));
	BAD(memset(r.name, 'x', sizeof(r.name)));
	BAD(r.mode = S_IFIFO | 0644);
	BAD(r.mode |= 1u << 16);
	BAD(r.nlink = 0);
	BAD(r.flags = NODE_ORPHAN); /* with a link */
	BAD(r.flags = NODE_COMPLETE);
	BAD(r.flags = 16);
	BAD(r.size = (uint64_t)INT64_MAX + 1);
	BAD(r.content = CONTENT_CLEAN; r.blob = 0);
	BAD(r.content = CONTENT_DIRTY; r.blob = 0);
	BAD(r.content = CONTENT_DIRTY; r.present_bytes = 1);
	BAD(r.content = CONTENT_CLEAN; r.present_bytes = 1);
	BAD(r.blob = 0; r.present_bytes = 1);
	BAD(r.content = (enum content)3);
	BAD(r.present_bytes = NODE_PRESENT_BYTES + 1);
	BAD(memset(r.etag, 'x', sizeof(r.etag)));
	BAD(memset(r.home, 'x', sizeof(r.home)));
	BAD(r.mode = S_IFDIR; r.nlink = 2); /* with a size and a blob */
	good = a_node(7, 1, "d", S_IFDIR);
	BAD(r.nlink = 1);
	BAD(r.version = 1);
	BAD(r.content = CONTENT_DIRTY);
#undef BAD
}

/* The budgets: a folder of an id partition, and a media file that was copied in with its old times.
 */
static void node_compact(void **state)
{
	(void)state;
	struct node_record folder = a_node(400123, 400122, "987", S_IFDIR);
	struct node_record file = a_node(400127, 400126, "0f3b5c6e1a2b3c4d.jpeg", S_IFREG);
	folder.nlink = 3;
	folder.ctime_ns = folder.atime_ns = folder.mtime_ns + 63072000000000000;
	file.ctime_ns = folder.ctime_ns;
	file.size = 150000;
	file.content = CONTENT_CLEAN;
	file.blob = 130000;
	snprintf(file.etag, sizeof(file.etag), "d41d8cd98f00b204e9800998ecf8427e");
	assert_in_range(round_trip(&folder), 1, 50);
	assert_in_range(round_trip(&file), 1, 110);
}

static void garbage(void **state)
{
	(void)state;
	uint8_t bytes[160], again[RECORD_NODE_BYTES_MAX];
	static union {
		struct node_record node;
		struct name name;
		struct pending_record pending;
		struct upload_record upload;
		struct counters counters;
	} out;
	for (int i = 0; i < 200000; i++) {
		size_t length = draw(sizeof(bytes));
		for (size_t b = 0; b < length; b++)
			bytes[b] = (uint8_t)(draw(4) ? draw(256) : draw(24));
		if (record_node_decode(&out.node, 9, bytes, length) == 0) {
			assert_true(record_node_valid(&out.node));
			assert_true(record_node_encode(again, &out.node) > 0);
		}
		if (record_pending_decode(&out.pending, "key", 3, bytes, length) == 0)
			assert_true(record_pending_valid(&out.pending));
		if (record_upload_decode(&out.upload, 9, bytes, length) == 0)
			assert_true(record_upload_valid(&out.upload));
		if (record_name_key_decode(&out.name, bytes, length) == 0)
			assert_int_equal(name_check(out.name.text, strlen(out.name.text)), 0);
		if (record_name_decode(&out.name, bytes, length) == 0)
			assert_true(out.name.ino != 0 && out.name.cookie != 0);
		if (record_counters_decode(&out.counters, bytes, length) == 0)
			assert_int_equal(length, RECORD_COUNTERS_BYTES);
	}
}

static void names(void **state)
{
	(void)state;
	static const struct {
		uint64_t parent, ino, cookie;
		size_t name_bytes, value_bytes;
		bool folder;
	} rows[] = {
	    {1, 2, 2, 1, 1, false},
	    {1, 2, 3, 1, 2, true},
	    {UINT64_MAX, UINT64_MAX, UINT64_MAX, NAME_BYTES_MAX, 10, true},
	    {UINT64_MAX, UINT64_MAX, UINT64_MAX - 1, NAME_BYTES_MAX, 20, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t key[RECORD_NAME_KEY_BYTES_MAX], value[RECORD_NAME_BYTES_MAX];
		char text[NAME_BYTES_MAX + 1];
		struct name name;
		fill_text(text, rows[i].name_bytes);
		size_t length =
		    record_name_key(key, rows[i].parent, text, rows[i].name_bytes, rows[i].folder);
		assert_int_equal(record_be64_decode(key), rows[i].parent);
		assert_int_equal(record_name_key_decode(&name, key, length), 0);
		assert_string_equal(name.text, text);
		assert_int_equal(name.folder, rows[i].folder);
		length = record_name_encode(value, rows[i].ino, rows[i].cookie);
		assert_int_equal(length, rows[i].value_bytes);
		assert_int_equal(record_name_decode(&name, value, length), 0);
		assert_int_equal(name.ino, rows[i].ino);
		assert_int_equal(name.cookie, rows[i].cookie);
	}
}

static void assert_same_pending(const struct pending_record *a, const struct pending_record *b)
{
	assert_string_equal(a->key, b->key);
	assert_int_equal(a->want, b->want);
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->txn, b->txn);
	assert_int_equal(a->holds, b->holds);
	assert_int_equal(a->fresh, b->fresh);
	assert_int_equal(a->attrs_only, b->attrs_only);
	assert_int_equal(a->since_ns, b->since_ns);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->retry_ns, b->retry_ns);
}

static void pending(void **state)
{
	(void)state;
	for (size_t key_bytes = 1; key_bytes <= KEY_BYTES_MAX;
	     key_bytes += key_bytes < 505 ? 63 : 1) {
		uint8_t key[RECORD_KEY_BYTES_MAX], bytes[RECORD_PENDING_BYTES_MAX];
		struct pending_record r = {.want = (enum pending_want)draw(2)}, back;
		fill_text(r.key, key_bytes);
		if (r.want == PENDING_PUT) {
			r.ino = 1 + draw_number() / 2;
			r.version = draw_number();
			r.fresh = draw(2);
			r.attrs_only = draw(2);
		}
		r.txn = draw_number();
		r.holds = draw_number();
		r.since_ns = draw_time();
		r.attempts = (uint32_t)draw_number();
		r.retry_ns = draw_time();
		size_t stored = record_pending_key(key, r.key);
		assert_int_equal(stored, key_bytes < RECORD_KEY_BYTES_MAX ? key_bytes
									  : RECORD_KEY_BYTES_MAX);
		size_t length = record_pending_encode(bytes, &r);
		assert_int_equal(record_pending_decode(&back, key, stored, bytes, length), 0);
		assert_same_pending(&r, &back);
		for (size_t cut = 0; cut < length; cut++)
			assert_int_equal(record_pending_decode(&back, key, stored, bytes, cut),
					 -EUCLEAN);
		if (key_bytes > RECORD_KEY_BYTES_MAX) { /* of another key */
			key[stored - 1] ^= 1;
			assert_int_equal(record_pending_decode(&back, key, stored, bytes, length),
					 -EUCLEAN);
		}
	}
}

static void uploads(void **state)
{
	(void)state;
	uint8_t bytes[RECORD_UPLOAD_BYTES_MAX];
	struct upload_record r = {.blob = 5, .since_ns = INT64_MIN}, back;
	fill_text(r.key, KEY_BYTES_MAX);
	fill_text(r.id, INDEX_UPLOAD_ID_BYTES - 1);
	size_t length = record_upload_encode(bytes, &r);
	assert_int_equal(record_upload_decode(&back, 5, bytes, length), 0);
	assert_string_equal(back.key, r.key);
	assert_string_equal(back.id, r.id);
	assert_int_equal(back.since_ns, r.since_ns);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(record_upload_decode(&back, 5, bytes, cut), -EUCLEAN);
	assert_int_equal(record_upload_decode(&back, 0, bytes, length), -EUCLEAN);
}

static void counters(void **state)
{
	(void)state;
	uint8_t bytes[RECORD_COUNTERS_BYTES];
	struct counters c = {2, 1, 3, 4, 5, UINT64_MAX, 7, 8}, back;
	record_counters_encode(bytes, &c);
	assert_int_equal(record_counters_decode(&back, bytes, sizeof(bytes)), 0);
	assert_memory_equal(&c, &back, sizeof(c));
	assert_int_equal(record_counters_decode(&back, bytes, sizeof(bytes) - 1), -EUCLEAN);
	c.next_ino = 1; /* the root's */
	record_counters_encode(bytes, &c);
	assert_int_equal(record_counters_decode(&back, bytes, sizeof(bytes)), -EUCLEAN);
}

/* Published vectors of FNV-1a with 128 bits. */
static void digest(void **state)
{
	(void)state;
	static const uint8_t foobar[DIGEST_BYTES] = {0x34, 0x3e, 0x16, 0x62, 0x79, 0x3c,
						     0x64, 0xbf, 0x6f, 0x0d, 0x35, 0x97,
						     0xba, 0x44, 0x6f, 0x18};
	static const uint8_t a[DIGEST_BYTES] = {0xd2, 0x28, 0xcb, 0x69, 0x6f, 0x1a, 0x8c, 0xaf,
						0x78, 0x91, 0x2b, 0x70, 0x4e, 0x4a, 0x89, 0x64};
	uint8_t out[DIGEST_BYTES];
	record_digest(out, "a", 1);
	assert_memory_equal(out, a, sizeof(a));
	record_digest(out, "foobar", 6);
	assert_memory_equal(out, foobar, sizeof(foobar));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(node_limits),  cmocka_unit_test(node_etags),
	    cmocka_unit_test(node_random),  cmocka_unit_test(node_invalid),
	    cmocka_unit_test(node_compact), cmocka_unit_test(garbage),
	    cmocka_unit_test(names),	    cmocka_unit_test(pending),
	    cmocka_unit_test(uploads),	    cmocka_unit_test(counters),
	    cmocka_unit_test(digest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Check: what is judged how, and the merge with a simulated listing: what it finds, and that it takes no more memory for more
 * keys. TOOTFS_CHECK_KEYS=1000000 for all of it. */
#include "index_fixture.h"

#include "cache/base/clock.h"
#include "cache/check_internal.h"

/* -- judging -- */

struct judged {
	const char *name;
	struct check_facts facts;
	bool here;
	struct object object;
	enum check_code code;
};

#define FILE_OF(state, bytes) .known = true, .primary = true, .node = {.content = state, .size = bytes, .etag = "e"}

static const struct judged cases[] = {
    {"the same", {FILE_OF(CONTENT_CLEAN, 5)}, true, {.size_bytes = 5, .etag = "e"}, CHECK_NONE},
    {"no etag told", {FILE_OF(CONTENT_CLEAN, 5)}, true, {.size_bytes = 5}, CHECK_NONE},
    {"other etag", {FILE_OF(CONTENT_CLEAN, 5)}, true, {.size_bytes = 5, .etag = "f"}, CHECK_REPLACED},
    {"other size", {FILE_OF(CONTENT_REMOTE, 5)}, true, {.size_bytes = 6, .etag = "e"}, CHECK_REPLACED},
    {"gone, all here", {FILE_OF(CONTENT_CLEAN, 5)}, false, {.size_bytes = 0}, CHECK_GONE},
    {"gone, empty", {FILE_OF(CONTENT_REMOTE, 0)}, false, {.size_bytes = 0}, CHECK_GONE},
    {"gone, not here", {FILE_OF(CONTENT_REMOTE, 5)}, false, {.size_bytes = 0}, CHECK_LOST},
    {"unsent, no wish", {FILE_OF(CONTENT_DIRTY, 5)}, false, {.size_bytes = 0}, CHECK_NOT_WANTED},
    {"unsent, wished", {.wished = true, FILE_OF(CONTENT_DIRTY, 5)}, false, {.size_bytes = 0}, CHECK_NONE},
    {"removed, wished", {.wished = true}, true, {.size_bytes = 5}, CHECK_NONE},
    {"unknown", {.complete = true}, true, {.size_bytes = 5}, CHECK_UNKNOWN},
    {"not listed yet", {.complete = false}, true, {.size_bytes = 5}, CHECK_NONE},
    {"a folder's name", {.complete = true, .folder = true}, true, {.size_bytes = 5}, CHECK_SHADOWED},
    {"nothing at all", {.complete = true}, false, {.size_bytes = 0}, CHECK_NONE},
    {"further name, other etag", {.known = true, .node = {.content = CONTENT_CLEAN, .size = 5, .etag = "e"}}, true,
     {.size_bytes = 5, .etag = "copy"}, CHECK_NONE},
    {"further name, gone", {.known = true, .node = {.content = CONTENT_CLEAN, .size = 5}}, false, {.size_bytes = 0},
     CHECK_COPY_GONE},
    {"elsewhere, no wish", {.known = true, .primary = true, .node = {.content = CONTENT_CLEAN, .size = 5, .home = "x"}},
     true, {.size_bytes = 5}, CHECK_NOT_WANTED},
    {"older object", {.known = true, .primary = true, .node = {.content = CONTENT_CLEAN, .size = 5, .etag = "e",
     .mtime_ns = INT64_C(10000000000)}}, true, {.size_bytes = 5, .etag = "f", .mtime_ns = INT64_C(5000000000)},
     CHECK_OUTDATED},
};

static void test_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum check_code code = check_judge(&cases[i].facts, cases[i].here ? &cases[i].object : NULL);
		if (code != cases[i].code)
			print_error("%s: %s\n", cases[i].name, check_rule(code)->name);
		assert_int_equal(code, cases[i].code);
	}
}

static void test_rules(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CHECK_CODES; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(check_rule(i)->name, check_rule(j)->name);
	for (unsigned i = 0; i < CHECK_CODES; i++) /* -p mends nothing that cannot be mended */
		assert_true(!check_rule(i)->preen || check_rule(i)->mend);
}

/* -- the merge -- */

enum { IN_FOLDER = 100, PAGE = 1000 };

/* Key number i, in byte order; a name beside a folder of the same beginning is met too. */
static void key_of(char *out, size_t size, uint64_t i)
{
	snprintf(out, size, "media/%07llu/%03llu.png", (unsigned long long)(i / IN_FOLDER),
		 (unsigned long long)(i % IN_FOLDER));
}

struct listing {
	uint64_t at, end, twist; /* twist: the key that comes out of order */
};

static int page_of(void *arg, struct list_page *out, struct buf *why)
{
	struct listing *l = arg;
	size_t count = l->end - l->at < PAGE ? l->end - l->at : PAGE;
	char *text;

	(void)why;
	if (!count)
		return 1;
	memset(out, 0, sizeof(*out));
	out->memory = text = malloc(count * 32);
	out->entries = calloc(count, sizeof(*out->entries));
	assert_non_null(text);
	assert_non_null(out->entries);
	out->count = count;
	for (size_t i = 0; i < count; i++, l->at++) {
		struct list_entry *e = &out->entries[i];
		e->key = text + 32 * i;
		key_of(text + 32 * i, 32, l->at == l->twist ? 0 : l->at);
		e->key_bytes = strlen(e->key);
		e->object.size_bytes = l->at % 1000;
		snprintf(e->object.etag, sizeof(e->object.etag), "%llx", (unsigned long long)l->at);
	}
	return 0;
}

static uint64_t add(struct txn *txn, uint64_t parent, const char *name, uint32_t type, uint64_t number)
{
	struct node_record node = a_node(txn_new_ino(txn), parent, name, type);

	node.flags = type == S_IFDIR ? NODE_COMPLETE : 0;
	if (type == S_IFREG) {
		node.content = CONTENT_REMOTE;
		node.version = 1;
		node.size = number % 1000;
		snprintf(node.etag, sizeof(node.etag), "%llx", (unsigned long long)number);
	}
	assert_int_equal(names_put(txn, parent, name, type == S_IFDIR, node.ino, 0), 0);
	assert_int_equal(nodes_put(txn, &node), 0);
	return node.ino;
}

static void fill_index(struct index *index, uint64_t from, uint64_t to)
{
	struct txn *txn = must_write(index);
	struct name media;
	uint64_t folder = 0;
	char key[64];

	if (names_get(txn, INO_ROOT, "media", &media))
		media.ino = add(txn, INO_ROOT, "media", S_IFDIR, 0);
	for (uint64_t i = from; i < to; i++) {
		key_of(key, sizeof(key), i);
		key[13] = '\0';
		if (i % IN_FOLDER == 0)
			folder = add(txn, media.ino, key + 6, S_IFDIR, 0);
		add(txn, folder, key + 14, S_IFREG, i);
	}
	assert_int_equal(txn_commit(&txn), 0);
}

struct seen {
	unsigned count;
	enum check_code last;
};

static void finding(void *arg, const struct check_finding *f)
{
	struct seen *seen = arg;

	seen->count++;
	seen->last = f->code;
}

static int merge(struct fixture *f, struct listing *listing, struct seen *seen, struct check_sums *sums)
{
	static const struct check_options options = {.repair = CHECK_REPORT, .live = true};
	const struct check_visitor visitor = {.finding = finding, .arg = seen};
	struct cache cache = {.flow = {.index = f->index}};
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct check *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	*c = (struct check){.cache = &cache, .options = &options, .visitor = &visitor, .sums = sums, .why = &why,
			    .told_ms = clock_ms()};
	memset(sums, 0, sizeof(*sums));
	memset(seen, 0, sizeof(*seen));
	int r = check_merge(c, page_of, listing);
	free(c);
	return r;
}

static uint64_t memory_kib(void)
{
	char line[256];
	unsigned long long kib = 0;
	FILE *file = fopen("/proc/self/status", "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

static void test_merge_in_constant_memory(void **state)
{
	const char *text = getenv("TOOTFS_CHECK_KEYS");
	const uint64_t most = text ? strtoull(text, NULL, 10) : 100000;
	struct fixture *f = *state;
	struct check_sums sums;
	uint64_t done = 0, first_kib = 0;
	struct seen seen;

	for (uint64_t keys = 10000; keys <= most; keys *= 10) {
		for (; done < keys; done += 10000) {
			fill_index(f->index, done, done + 10000);
			must_checkpoint(f->index);
		}
		struct listing listing = {.end = keys, .twist = UINT64_MAX};
		int64_t began_ms = clock_ms();
		assert_int_equal(merge(f, &listing, &seen, &sums), 0);
		uint64_t kib = memory_kib();
		print_message("%llu keys: %lld ms, %llu KiB\n", (unsigned long long)keys,
			      (long long)(clock_ms() - began_ms), (unsigned long long)kib);
		assert_int_equal(sums.objects, keys);
		assert_int_equal(sums.files, keys);
		assert_int_equal(seen.count, 0);
		first_kib = first_kib ? first_kib : kib;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		if (!getenv("TOOTFS_PATIENCE"))
			assert_true(kib < first_kib + 4096);
#endif
	}
}

static void test_order(void **state)
{
	struct fixture *f = *state;
	struct listing listing = {.end = 2000, .twist = 1500};
	struct check_sums sums;
	struct seen seen;

	fill_index(f->index, 0, 2000);
	assert_int_equal(merge(f, &listing, &seen, &sums), -EILSEQ);
}

static void test_not_listed_yet(void **state)
{
	struct fixture *f = *state;
	struct listing listing = {.end = 1500, .twist = UINT64_MAX};
	struct check_sums sums;
	struct seen seen;

	/* the root is not complete, so nothing below it is unknown */
	assert_int_equal(merge(f, &listing, &seen, &sums), 0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(sums.unlisted, 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_judge),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test_setup_teardown(test_merge_in_constant_memory, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_order, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_not_listed_yet, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The lists of a dir bucket: the order of S3, against a model made from the sorted keys. */
#include "dir_fixture.h"

static int key_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What S3 says to that, from the sorted keys. */
static char *list_model(char *const *keys, size_t count, const char *prefix, bool delimiter,
			const char *after)
{
	char *text = calloc(1, 1 << 20), last[1100] = "";

	for (size_t i = 0; i < count; i++) {
		const char *slash;
		char shown[1100];

		if (strncmp(keys[i], prefix, strlen(prefix)) != 0 ||
		    (after && strcmp(keys[i], after) <= 0))
			continue;
		strcpy(shown, keys[i]);
		slash = strchr(shown + strlen(prefix), '/');
		if (delimiter && slash)
			shown[slash + 1 - shown] = '\0';
		if (strcmp(shown, last) != 0)
			strcat(strcat(text, shown), "\n");
		strcpy(last, shown);
	}
	return text;
}

static const char *const odd_keys[] = {"a-b",
				       "a/x",
				       "a/b/c",
				       "a0",
				       "a!",
				       "a/!",
				       "a/b-c",
				       "a/b0",
				       "a/b/!",
				       "b",
				       "b.d/1",
				       "b-d/1",
				       "\xc3\xa9",
				       "\xff/x",
				       "\xff\xfe",
				       "z/\x01",
				       "z/\x7f",
				       "Z",
				       "z z/",
				       "deep/1/2/3/4/5/6",
				       ".hidden",
				       "..a",
				       "a.tootfs-tmp/f",
				       "new\nline",
				       "d/.tootfs-tmp/x"};

static void lists_come_in_the_order_of_s3(void **state)
{
	static const char *const prefixes[] = {"", "a/", "a/b/", "deep/1/", "none/", "b/", "z/"};
	static const char *const afters[] = {NULL,    "a",   "a-b",   "a/", "a/b",
					     "a/b/c", "a/x", "b.d/1", "zz", "\xff"};
	static const unsigned pages[] = {0, 1, 2, 3};
	char *keys[64];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(odd_keys) / sizeof(odd_keys[0]); i++)
		if (odd_keys[i][strlen(odd_keys[i]) - 1] != '/') {
			keys[count] = strdup(odd_keys[i]);
			assert_int_equal(put(keys[count++], "x", NULL), 0);
		}
	assert_int_equal(mkdir(path_of("a/empty"), 0755), 0);
	assert_int_equal(mkdir(path_of("a/empty/er"), 0755), 0);
	qsort(keys, count, sizeof(keys[0]), key_order);
	for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++)
		for (size_t a = 0; a < sizeof(afters) / sizeof(afters[0]); a++)
			for (size_t m = 0; m < 4; m++)
				for (int delimiter = 0; delimiter < 2; delimiter++) {
					char *got =
					    list_all(prefixes[p], delimiter, afters[a], pages[m]);
					char *want = list_model(keys, count, prefixes[p], delimiter,
								afters[a]);

					assert_string_equal(got, want);
					free(got);
					free(want);
				}
	for (size_t i = 0; i < count; i++)
		free(keys[i]);
}

/* More names than a pass keeps, files and folders mixed, created without the bucket for speed. */
static void large_folders_are_listed_in_passes(void **state)
{
	enum { COUNT = 2600 };
	static char *keys[COUNT];
	char name[64];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		bool below = i % 7 == 0;
		int fd;

		snprintf(name, sizeof(name), "%08x", (unsigned)i * 2654435761u);
		if (below) {
			assert_int_equal(mkdir(path_of(name), 0755), 0);
			strcat(name, "/f");
		}
		keys[i] = strdup(name);
		fd = open(path_of(name), O_CREAT | O_WRONLY, 0644);
		assert_true(fd >= 0);
		close(fd);
	}
	qsort(keys, COUNT, sizeof(keys[0]), key_order);
	for (int delimiter = 0; delimiter < 2; delimiter++)
		for (unsigned page = 0; page < 1000; page += 700) {
			char *got = list_all("", delimiter, NULL, page);
			char *want = list_model(keys, COUNT, "", delimiter, NULL);

			assert_string_equal(got, want);
			free(got);
			free(want);
		}
	for (int i = 0; i < COUNT; i++)
		free(keys[i]);
}

static void a_strange_token_is_refused(void **state)
{
	struct list_request q = {.prefix = "", .token = "zzz"};
	struct list_page page;

	(void)state;
	assert_int_equal(bucket_list(bucket, &q, &page), -EINVAL);
	assert_null(page.entries);
	q.token = "=";
	assert_int_equal(bucket_list(bucket, &q, &page), 0);
	list_page_destroy(&page);
}

/* The same without openat2(2), as in old kernels and sandboxes. */
static void lists_by_steps(void **state)
{
	reopen_by_steps();
	lists_come_in_the_order_of_s3(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(lists_come_in_the_order_of_s3),
	    TEST(large_folders_are_listed_in_passes),
	    TEST(a_strange_token_is_refused),
	    TEST(lists_by_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

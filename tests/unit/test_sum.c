/* Sums as the bucket says them and as a file has them, and a machine that refuses MD5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/bucket/sum.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What FIPS mode does: the linker prefers this one, and there is no MD5 then. */
static bool fips;

EVP_MD *EVP_MD_fetch(OSSL_LIB_CTX *context, const char *name, const char *properties)
{
	EVP_MD *(*real)(OSSL_LIB_CTX *, const char *, const char *);

	*(void **)&real = dlsym(RTLD_NEXT, "EVP_MD_fetch");
	return fips && strcmp(name, "MD5") == 0 ? NULL : real(context, name, properties);
}

static void etags(void **state)
{
	static const struct {
		const char *etag;
		enum sum_kind kind;
		const char *text;
	} cases[] = {
		{"d41d8cd98f00b204e9800998ecf8427e", SUM_MD5, "d41d8cd98f00b204e9800998ecf8427e"},
		{"D41D8CD98F00B204E9800998ECF8427E", SUM_MD5, "d41d8cd98f00b204e9800998ecf8427e"},
		{"d41d8cd98f00b204e9800998ecf8427e-2", SUM_NONE, ""},
		{"d41d8cd98f00b204e9800998ecf8427", SUM_NONE, ""},
		{"d41d8cd98f00b204e9800998ecf8427e0", SUM_NONE, ""},
		{"g41d8cd98f00b204e9800998ecf8427e", SUM_NONE, ""},
		{"d41d8cd98f00b204e9800998ecf8427 ", SUM_NONE, ""},
		{"18bcfe01a2d3c000-64-3a1", SUM_NONE, ""},
		{"", SUM_NONE, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sum sum;
		char text[SUM_TEXT];
		sum_of_etag(&sum, cases[i].etag);
		assert_int_equal(sum.kind, cases[i].kind);
		sum_text(&sum, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void checksums(void **state)
{
	static const struct {
		const char *base64;
		enum sum_kind kind;
	} cases[] = {
		{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", SUM_SHA256},
		{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-2", SUM_NONE}, /* of parts */
		{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUx", SUM_NONE},
		{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu==", SUM_NONE},
		{"47DEQpj8HBSa+!TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", SUM_NONE},
		{"", SUM_NONE},
	};
	struct sum empty, said;

	(void)state;
	assert_int_equal(sum_file(-1, 0, SUM_SHA256, NULL, &empty), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		sum_of_sha256(&said, cases[i].base64);
		assert_int_equal(said.kind, cases[i].kind);
		assert_int_equal(sum_same(&said, &empty), said.kind == SUM_SHA256);
	}
}

static void files(void **state)
{
	char bytes[1000], path[] = "/tmp/tootfs-sum-XXXXXX";
	atomic_bool stop = true;
	struct sum said, got;

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
	unlink(path);
	assert_int_equal(sum_file(fd, 1, SUM_MD5, NULL, &got), 0);
	sum_of_etag(&said, "0cc175b9c0f1b6a831c399e269772661");
	assert_true(sum_same(&said, &got));
	said.bytes[15] ^= 1;
	assert_false(sum_same(&said, &got));
	assert_int_equal(sum_file(fd, 1001, SUM_MD5, NULL, &got), -EIO); /* shorter than it should be */
	assert_int_equal(got.kind, SUM_NONE);
	assert_int_equal(sum_file(fd, 1000, SUM_MD5, &stop, &got), -ECANCELED);
	assert_int_equal(sum_file(-1, 1, SUM_MD5, NULL, &got), -EBADF);
	close(fd);
}

/* Of ten bytes "abcdefghij" in parts of four, as any other program comes to it. */
static void parts(void **state)
{
	static const struct {
		const char *etag;
		unsigned parts;
	} cases[] = {
		{"d41d8cd98f00b204e9800998ecf8427e-2", 2},
		{"d41d8cd98f00b204e9800998ecf8427e-10000", 10000},
		{"d41d8cd98f00b204e9800998ecf8427e-10001", 0},
		{"d41d8cd98f00b204e9800998ecf8427e-99999999999999999999", 0},
		{"d41d8cd98f00b204e9800998ecf8427e-0", 0},
		{"d41d8cd98f00b204e9800998ecf8427e-02", 0},
		{"d41d8cd98f00b204e9800998ecf8427e-", 0},
		{"d41d8cd98f00b204e9800998ecf8427e-2a", 0},
		{"d41d8cd98f00b204e9800998ecf8427e-2-2", 0},
		{"d41d8cd98f00b204e9800998ecf8427x-2", 0},
		{"d41d8cd98f00b204e9800998ecf8427-2", 0},
		{"d41d8cd98f00b204e9800998ecf8427e", 0},
		{"-2", 0},
		{"", 0},
	};
	char path[] = "/tmp/tootfs-sum-XXXXXX", text[SUM_TEXT];
	struct sum said, got;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		sum_of_parts_etag(&said, cases[i].etag);
		assert_int_equal(said.kind, cases[i].parts ? SUM_MD5_PARTS : SUM_NONE);
		assert_int_equal(said.parts, cases[i].parts);
	}
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, "abcdefghij", 10) == 10);
	unlink(path);
	sum_of_parts_etag(&said, "446feba4c1b5cc7ad93bf4d44a0e36ac-3");
	assert_int_equal(sum_file_as(fd, 10, &said, NULL, &got), -ENOTSUP); /* in parts of what size? */
	assert_false(sum_set_part_bytes(&said, 10, 0));
	assert_false(sum_set_part_bytes(&said, 10, 3));
	assert_false(sum_set_part_bytes(&said, 10, 5));
	assert_false(sum_set_part_bytes(&said, 0, 4));
	assert_true(sum_set_part_bytes(&said, 10, 4));
	assert_int_equal(sum_file_as(fd, 10, &said, NULL, &got), 0);
	assert_true(sum_same(&said, &got));
	sum_text(&got, text);
	assert_string_equal(text, "446feba4c1b5cc7ad93bf4d44a0e36ac-3");
	assert_true(pwrite(fd, "x", 1, 9) == 1);
	assert_int_equal(sum_file_as(fd, 10, &said, NULL, &got), 0);
	assert_false(sum_same(&said, &got));
	assert_int_equal(sum_file_as(fd, 11, &said, NULL, &got), -EIO);
	close(fd);
}

static void no_md5_in_fips_mode(void **state)
{
	struct sum got;

	(void)state;
	assert_true(sum_has_md5());
	fips = true;
	assert_false(sum_has_md5());
	assert_int_equal(sum_file(-1, 0, SUM_MD5, NULL, &got), -ENOTSUP);
	assert_int_equal(sum_file(-1, 0, SUM_SHA256, NULL, &got), 0);
	fips = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(etags),
		cmocka_unit_test(checksums),
		cmocka_unit_test(files),
		cmocka_unit_test(parts),
		cmocka_unit_test(no_md5_in_fips_mode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

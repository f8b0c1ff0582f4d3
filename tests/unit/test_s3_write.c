/* put, copy, multipart and delete of the S3 client, against a server that plays scripts. */
#include "s3_fixture.h"
#include <dlfcn.h>
#include <sys/stat.h>

static struct fixture fixture;

static int setup(void **state)
{
	*state = &fixture;
	fixture_environment();
	fixture_open(&fixture, &(struct bucket_config){.path_style = -1});
	return 0;
}

static int teardown(void **state)
{
	fixture_close(*state);
	return 0;
}

static int put(struct fixture *f, const char *key, const char *text, const struct object_attrs *attrs,
	       struct object *out)
{
	int fd = file_of(text);
	const struct put_request q = {.key = key, .fd = fd, .length = strlen(text), .attrs = attrs};
	int r = f->bucket.ops->put(f->s3, &q, out);

	close(fd);
	return r;
}

static bool sent(struct fixture *f, const char *name, const char *value)
{
	const char *got = server_header(f->last, name);
	bool same = value ? got && strcmp(got, value) == 0 : !got;

	if (!same)
		print_message("%s: %s\n", name, got ? got : "(not sent)");
	return same;
}

/* -- put -- */

static void test_put(void **state)
{
	struct fixture *f = *state;
	const struct object_attrs attrs = {true, S_IFREG | 0644, 1, 2, 3};
	const struct object_attrs link = {true, S_IFLNK | 0777, 1, 2, INT64_C(1700000000500000000)};
	struct object o;

	SCRIPT(f, {"PUT /media/sys/a/b.png", 200, "ETag: \"e1\"\r\n", ""},
	       {"PUT /media/sys/a/empty.xyz", 200, "ETag: e2\r\n", ""},
	       {"PUT /media/sys/a/link", 200, "ETag: \"e3\"\r\n", ""},
	       {"PUT /media/sys/a/b.png", 0, NULL,
		"HTTP/1.1 200 OK\r\nETag: \"e4\"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"});
	assert_int_equal(put(f, "a/b.png", "hello", &attrs, &o), 0);
	assert_string_equal(o.etag, "e1");
	assert_int_equal(o.size_bytes, 5);
	assert_string_equal(f->last->body, "hello");
	assert_true(sent(f, "content-type", "image/png"));
	assert_true(sent(f, "content-length", "5"));
	assert_non_null(server_header(f->last, "cache-control"));
	assert_true(sent(f, "x-amz-content-sha256",
			 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
	static const char *const not_sent[] = {"x-amz-acl", "x-amz-meta-mode", "x-amz-checksum-sha256", "expect",
					       "x-amz-sdk-checksum-algorithm", "x-amz-storage-class",
					       "x-amz-server-side-encryption", "x-amz-security-token"};
	for (size_t i = 0; i < COUNT(not_sent); i++)
		assert_true(sent(f, not_sent[i], NULL));
	assert_int_equal(put(f, "a/empty.xyz", "", NULL, &o), 0);
	assert_true(sent(f, "content-length", "0"));
	assert_int_equal(put(f, "a/link", "b.png", &link, &o), 0); /* says what it is, whatever attrs= says */
	assert_true(sent(f, "x-amz-meta-mode", "41471"));
	assert_true(sent(f, "x-amz-meta-uid", "1"));
	assert_true(sent(f, "x-amz-meta-gid", "2"));
	assert_true(sent(f, "x-amz-meta-mtime", "1700000000.500000000"));
	assert_int_equal(put(f, "a/b.png", "hello", NULL, &o), 0);
	assert_string_equal(o.etag, "e4");
	script_end(f);
}

static void test_put_options(void **state)
{
	(void)state;
	static const struct bucket_config config = {.path_style = -1, .attrs_object = true, .checksum_sha256 = true,
						    .acl = "public-read", .storage_class = "STANDARD_IA",
						    .sse = "aws:kms", .sse_kms_key = "key-1"};
	const struct object_attrs attrs = {true, S_IFREG | 0644, 1, 2, 0};
	struct fixture f;
	struct object o;

	setenv("AWS_SESSION_TOKEN", "token+/=", 1);
	fixture_open(&f, &config);
	{
		SCRIPT(&f, {"PUT /media/sys/a", 200, "ETag: \"e\"\r\n", ""},
		       {"PUT /media/sys/backups/a", 200, "ETag: \"e\"\r\n", ""});
		assert_int_equal(put(&f, "a", "hello", &attrs, &o), 0);
		assert_true(sent(&f, "x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="));
		assert_true(sent(&f, "x-amz-sdk-checksum-algorithm", "SHA256"));
		assert_true(sent(&f, "x-amz-acl", "public-read"));
		assert_true(sent(&f, "x-amz-storage-class", "STANDARD_IA"));
		assert_true(sent(&f, "x-amz-server-side-encryption", "aws:kms"));
		assert_true(sent(&f, "x-amz-server-side-encryption-aws-kms-key-id", "key-1"));
		assert_true(sent(&f, "x-amz-security-token", "token+/="));
		assert_true(sent(&f, "x-amz-meta-mode", "33188"));
		assert_true(sent(&f, "x-amz-meta-mtime", NULL));
		assert_int_equal(put(&f, "backups/a", "hello", NULL, &o), 0);
		assert_true(sent(&f, "x-amz-acl", "private"));
		script_end(&f);
	}
	fixture_close(&f);
	unsetenv("AWS_SESSION_TOKEN");
}

static void test_put_refused(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct step step;
		int result;
		bool again;
		const char *words;
	} cases[] = {
		{{NULL, 400, NULL, ERROR_XML("XAmzContentSHA256Mismatch")}, -EHOSTDOWN, true, "as it was sent"},
		{{NULL, 400, NULL, ERROR_XML("BadDigest")}, -EHOSTDOWN, true, "as it was sent"},
		{{NULL, 400, NULL, ERROR_XML("RequestTimeout")}, -EHOSTDOWN, true, "waited too long"},
		{{NULL, 400, NULL, ERROR_XML("IncompleteBody")}, -EHOSTDOWN, true, "cut off"},
		{{NULL, 200, NULL, ""}, -EPROTO, true, "ETag"},
		{{NULL, 200, "ETag: \"\"\r\n", ""}, -EPROTO, true, "ETag"},
		{{NULL, 403, NULL, ERROR_XML("QuotaExceeded")}, -EACCES, false, "quota"},
		{{NULL, 400, NULL, ERROR_XML("AccessControlListNotSupported")}, -EACCES, false, "acl=none"},
		{{NULL, 400, NULL, ERROR_XML("InvalidStorageClass")}, -EINVAL, false, "storage class"},
		{{NULL, 400, NULL, ERROR_XML("KMS.DisabledException")}, -EACCES, false, "sse_kms_key"},
		{{NULL, 409, NULL, ERROR_XML("ObjectParentIsFile")}, -EINVAL, false, "below another"},
		{{NULL, 409, NULL, ERROR_XML("OperationAborted")}, -EHOSTDOWN, true, "under way"},
		{{NULL, 404, NULL, ERROR_XML("NoSuchBucket")}, -ENODEV, false, "no bucket"},
		{{NULL, 404, NULL, "<html>"}, -ENODEV, false, "an S3 server"},
		{{NULL, 400, NULL, ERROR_XML("NeverHeardOf")}, -EINVAL, false, "NeverHeardOf"},
		{{NULL, 501, NULL, ERROR_XML("NotImplemented")}, -EINVAL, false, "does not know"},
		{{NULL, 503, "Retry-After: 3\r\n", ERROR_XML("SlowDown")}, -EHOSTDOWN, true, "fewer"},
		{{NULL, 429, NULL, ""}, -EHOSTDOWN, true, "fewer"},
		{{NULL, 500, NULL, ""}, -EHOSTDOWN, true, "error of its own"},
		{{NULL, 502, NULL, "<html>bad gateway</html>"}, -EHOSTDOWN, true, "error of its own"},
		{{NULL, 504, NULL, ""}, -EHOSTDOWN, true, "error of its own"},
		{{NULL, 413, NULL, "<html>too large</html>"}, -EINVAL, false, "refuses"},
		{{NULL, 0, NULL, "HTTP/1.1 500 X\r\nContent-Length: 999\r\n\r\n<Error><Co"}, -EPROTO, true, "broke off"},
		{{NULL, 0, NULL, "HTTP/1.1 403 X\r\nContent-Length: 999\r\n\r\n" ERROR_XML("QuotaExceeded")}, -EACCES, false,
		 "quota"},
	};
	struct object o;

	for (size_t i = 0; i < COUNT(cases); i++) {
		script(f, &cases[i].step, 1);
		int r = put(f, "a/b.png", "hello", NULL, &o);
		if (r != cases[i].result || !strstr(bucket_why(), cases[i].words))
			print_message("case %zu: %d %s\n", i, r, bucket_why());
		assert_int_equal(r, cases[i].result);
		assert_int_equal(fault_of_thread()->again, cases[i].again);
		assert_non_null(strstr(bucket_why(), cases[i].words));
		assert_null(strstr(bucket_why(), SECRET));
		assert_int_equal(fault_of_thread()->retry_after_ms, cases[i].step.status == 503 ? 3000 : 0);
		script_end(f);
	}
}

/* A file that is shorter than was said is never sent in part. */
static void test_put_short_file(void **state)
{
	struct fixture *f = *state;
	int fd = file_of("hello");
	const struct put_request q = {.key = "a", .fd = fd, .offset = 3, .length = 3};
	struct object o;

	script(f, NULL, 0);
	assert_int_equal(f->bucket.ops->put(f->s3, &q, &o), -EIO);
	assert_false(fault_of_thread()->again);
	script_end(f);
	close(fd);
}

/* -- copy -- */

#define COPIED "<CopyObjectResult><LastModified>2024-01-01T00:00:00Z</LastModified><ETag>\"c\"</ETag></CopyObjectResult>"

static void test_copy(void **state)
{
	struct fixture *f = *state;
	const struct copy_request q = {.from = "a b+\xc3\xa9%", .to = "c.jpg", .etag = "e", .size_bytes = 5};
	struct object o;

	SCRIPT(f, {"PUT /media/sys/c.jpg", 200, NULL, COPIED},
	       {"PUT /media/sys/c.jpg", 200, NULL, ERROR_XML("InternalError")},
	       {"PUT /media/sys/c.jpg", 200, NULL, ERROR_XML("AccessDenied")},
	       {"PUT /media/sys/c.jpg", 200, NULL, "<CopyObjectResult><ETag>"},
	       {"PUT /media/sys/c.jpg", 404, NULL, ERROR_XML("NoSuchKey")},
	       {"PUT /media/sys/c.jpg", 412, NULL, ERROR_XML("PreconditionFailed")});
	assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), 0);
	assert_string_equal(o.etag, "c");
	assert_int_equal(o.size_bytes, 5);
	assert_true(sent(f, "x-amz-copy-source", "/media/sys/a%20b%2B%C3%A9%25"));
	assert_true(sent(f, "x-amz-copy-source-if-match", "\"e\""));
	assert_true(sent(f, "x-amz-metadata-directive", "REPLACE"));
	assert_true(sent(f, "content-type", "image/jpeg"));
	assert_true(sent(f, "content-length", "0"));
	assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), -EHOSTDOWN);
	assert_true(fault_of_thread()->again);
	assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), -EACCES);
	assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), -EPROTO);
	assert_true(fault_of_thread()->again);
	assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), -ENOENT);
	assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), -ESTALE);
	script_end(f);
}

#define CREATED	  "<InitiateMultipartUploadResult><UploadId>u+/</UploadId></InitiateMultipartUploadResult>"
#define COMPLETED "<CompleteMultipartUploadResult><ETag>\"whole-2\"</ETag></CompleteMultipartUploadResult>"
#define COPIED_PART "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>"

static void test_copy_in_parts(void **state)
{
	struct fixture *f = *state;
	const struct copy_request q = {.from = "a", .to = "b", .etag = "e", .size_bytes = 25};
	struct object o;

	f->s3->copy_bytes_max = 24;
	f->s3->copy_part_bytes = 20;
	{
		SCRIPT(f, {"POST /media/sys/b?uploads=", 200, NULL, CREATED},
		       {"PUT /media/sys/b?uploadId=u%2B%2F&partNumber=1", 200, NULL, COPIED_PART},
		       {"PUT /media/sys/b?uploadId=u%2B%2F&partNumber=2", 200, NULL, COPIED_PART},
		       {"POST /media/sys/b?uploadId=u%2B%2F", 200, NULL, COMPLETED});
		assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), 0);
		assert_string_equal(o.etag, "whole-2");
		assert_int_equal(o.size_bytes, 25);
		script_end(f);
	}
	{
		SCRIPT(f, {"POST /media/sys/b?uploads=", 200, NULL, CREATED},
		       {"PUT /media/sys/b?uploadId=u%2B%2F&partNumber=1", 200, NULL, COPIED_PART},
		       {"PUT /media/sys/b?uploadId=u%2B%2F&partNumber=2", 412, NULL, ERROR_XML("PreconditionFailed")},
		       {"DELETE /media/sys/b?uploadId=u%2B%2F", 204, NULL, NULL});
		assert_int_equal(f->bucket.ops->copy(f->s3, &q, &o), -ESTALE);
		assert_string_equal(fault_of_thread()->code, "PreconditionFailed");
		script_end(f);
	}
	f->s3->copy_bytes_max = S3_COPY_BYTES_MAX;
	f->s3->copy_part_bytes = S3_COPY_PART_BYTES;
}

/* -- multipart -- */

static void test_upload(void **state)
{
	struct fixture *f = *state;
	const struct bucket_ops *ops = f->bucket.ops;
	const struct part parts[] = {{1, "p1"}, {7, "p&<>7"}};
	char id[UPLOAD_ID_BYTES];
	struct object o;
	struct part p;
	int fd = file_of("0123456789");
	const struct part_request q = {"a.mp4", "u+/", 7, fd, 3, 4};

	SCRIPT(f, {"POST /media/sys/a.mp4?uploads=", 200, NULL, CREATED},
	       {"PUT /media/sys/a.mp4?uploadId=u%2B%2F&partNumber=7", 200, "ETag: \"p7\"\r\n", ""},
	       {"PUT /media/sys/a.mp4?uploadId=u%2B%2F&partNumber=7", 404, NULL, ERROR_XML("NoSuchUpload")},
	       {"POST /media/sys/a.mp4?uploadId=u%2B%2F", 200, NULL, "  \n  \n" COMPLETED},
	       {"DELETE /media/sys/a.mp4?uploadId=u%2B%2F", 204, NULL, NULL},
	       {"DELETE /media/sys/a.mp4?uploadId=u%2B%2F", 404, NULL, ERROR_XML("NoSuchUpload")},
	       {"DELETE /media/sys/a.mp4?uploadId=u%2B%2F", 404, NULL, ERROR_XML("NoSuchBucket")},
	       {"POST /media/sys/a.mp4?uploads=", 200, NULL, "<InitiateMultipartUploadResult/>"});
	assert_int_equal(ops->upload_create(f->s3, "a.mp4", NULL, id), 0);
	assert_string_equal(id, "u+/");
	assert_true(sent(f, "content-type", "video/mp4"));
	assert_int_equal(ops->upload_part(f->s3, &q, &p), 0);
	assert_string_equal(f->last->body, "3456");
	assert_string_equal(p.etag, "p7");
	assert_int_equal(p.number, 7);
	assert_int_equal(ops->upload_part(f->s3, &q, &p), -ENOMSG);
	assert_int_equal(ops->upload_complete(f->s3, "a.mp4", id, parts, 2, &o), 0);
	assert_string_equal(o.etag, "whole-2");
	assert_string_equal(f->last->body,
			    "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			    "<Part><PartNumber>1</PartNumber><ETag>&quot;p1&quot;</ETag></Part>"
			    "<Part><PartNumber>7</PartNumber><ETag>&quot;p&amp;&lt;&gt;7&quot;</ETag></Part>"
			    "</CompleteMultipartUpload>");
	assert_int_equal(ops->upload_abort(f->s3, "a.mp4", id), 0);
	assert_int_equal(ops->upload_abort(f->s3, "a.mp4", id), 0);
	assert_int_equal(ops->upload_abort(f->s3, "a.mp4", id), -ENODEV);
	assert_int_equal(ops->upload_create(f->s3, "a.mp4", NULL, id), -EPROTO);
	script_end(f);
	close(fd);
}

/* 200 is not yet success; and Ceph's success has no ETag. */
static void test_complete_answers(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct step steps[2];
		int count, result;
		bool again;
		const char *etag;
	} cases[] = {
		{{{NULL, 200, NULL, ERROR_XML("InternalError")}}, 1, -EHOSTDOWN, true, NULL},
		{{{NULL, 200, NULL, "\n\n" ERROR_XML("NoSuchUpload")}}, 1, -ENOMSG, false, NULL},
		{{{NULL, 200, NULL, ERROR_XML("Whatever")}}, 1, -EHOSTDOWN, true, NULL},
		{{{NULL, 200, NULL, "   \n"}}, 1, -EPROTO, true, NULL},
		{{{NULL, 200, NULL, "<CompleteMultipartUploadResult><ETag>\"x-1\"</ETag>"}}, 1, -EPROTO, true, NULL},
		{{{NULL, 400, NULL, ERROR_XML("InvalidPart")}}, 1, -ENOMSG, false, NULL},
		{{{NULL, 400, NULL, ERROR_XML("EntityTooSmall")}}, 1, -EINVAL, false, NULL},
		{{{NULL, 500, NULL, ERROR_XML("InternalError")}}, 1, -EHOSTDOWN, true, NULL},
		{{{NULL, 200, NULL, "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>"},
		  {"HEAD /media/sys/a", 200, "Content-Length: 9\r\nETag: \"abc-1\"\r\n", NULL}}, 2, 0, false, "abc-1"},
		{{{NULL, 200, NULL, "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>"},
		  {"HEAD /media/sys/a", 200, "Content-Length: 9\r\nETag: \"abc\"\r\n", NULL}}, 2, -EPROTO, true, NULL},
	};
	const struct part part = {1, "p"};
	struct object o;

	for (size_t i = 0; i < COUNT(cases); i++) {
		script(f, cases[i].steps, (size_t)cases[i].count);
		int r = f->bucket.ops->upload_complete(f->s3, "a", "u", &part, 1, &o);
		if (r != cases[i].result)
			print_message("case %zu: %d %s\n", i, r, bucket_why());
		assert_int_equal(r, cases[i].result);
		if (r)
			assert_int_equal(fault_of_thread()->again, cases[i].again);
		else
			assert_string_equal(o.etag, cases[i].etag);
		script_end(f);
	}
}

static int note(void *arg, const char *id, int64_t initiated_ns)
{
	buf_printf(arg, "[%s %lld]", id, (long long)(initiated_ns / 1000000000));
	return strcmp(id, "stop") == 0 ? -EXFULL : 0;
}

#define UPLOAD(key, id) \
	"<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiated>1970-01-01T00:00:09Z</Initiated></Upload>"
#define UPLOADS(inside) "<ListMultipartUploadsResult>" inside "</ListMultipartUploadsResult>"
#define MORE "<IsTruncated>true</IsTruncated><NextKeyMarker>sys/a+</NextKeyMarker><NextUploadIdMarker>i/</NextUploadIdMarker>"

static void test_upload_list(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf seen = BUF_EMPTY;

	{
		SCRIPT(f, {"GET /media?uploads=&prefix=sys%2Fa%2B", 200, NULL,
			   UPLOADS(MORE UPLOAD("sys/a+", "1") UPLOAD("sys/a+b", "2") UPLOAD("a+", "3"))},
		       {"GET /media?uploads=&prefix=sys%2Fa%2B&key-marker=sys%2Fa%2B&upload-id-marker=i%2F", 200, NULL,
			UPLOADS(UPLOAD("sys/a+", "4"))});
		assert_int_equal(f->bucket.ops->upload_list(f->s3, "a+", note, &seen), 0);
		assert_string_equal(buf_string(&seen), "[1 9][4 9]");
		script_end(f);
	}
	{
		SCRIPT(f, {NULL, 200, NULL, UPLOADS(MORE)}, {NULL, 200, NULL, UPLOADS(MORE)});
		assert_int_equal(f->bucket.ops->upload_list(f->s3, "a+", note, &seen), -EPROTO);
		script_end(f);
	}
	{
		SCRIPT(f, {NULL, 200, NULL, UPLOADS(MORE UPLOAD("sys/a", "stop") UPLOAD("sys/a", "5"))});
		assert_int_equal(f->bucket.ops->upload_list(f->s3, "a", note, &seen), -EXFULL);
		assert_string_equal(buf_string(&seen), "[1 9][4 9][stop 9]");
		script_end(f);
	}
}

static int note_key(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	buf_printf(arg, "[%s %s %lld]", key, id, (long long)(initiated_ns / 1000000000));
	return strcmp(id, "stop") == 0 ? -EXFULL : 0;
}

static void test_uploads_page(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf seen = BUF_EMPTY;
	struct upload_marks first = {NULL, NULL}, second, end;

	SCRIPT(f, {"GET /media?uploads=&prefix=sys%2F", 200, NULL,
		   UPLOADS(MORE UPLOAD("sys/a+", "1") UPLOAD("sys/a/b", "2") UPLOAD("other", "3"))},
	       {"GET /media?uploads=&prefix=sys%2F&key-marker=sys%2Fa%2B&upload-id-marker=i%2F", 200, NULL, UPLOADS(MORE)},
	       {"GET /media?uploads=&prefix=sys%2F&key-marker=sys%2Fa%2B&upload-id-marker=i%2F", 200, NULL,
		UPLOADS(UPLOAD("sys/c", "4"))},
	       {NULL, 200, NULL, UPLOADS(MORE UPLOAD("sys/d", "stop") UPLOAD("sys/e", "5"))});
	assert_int_equal(f->bucket.ops->uploads_page(f->s3, &first, &second, note_key, &seen), 0);
	assert_string_equal(buf_string(&seen), "[a+ 1 9][a/b 2 9]");
	assert_string_equal(second.key, "sys/a+");
	assert_string_equal(second.id, "i/");
	/* It would go round for ever. */
	assert_int_equal(f->bucket.ops->uploads_page(f->s3, &second, &end, note_key, &seen), -EPROTO);
	assert_null(end.key);
	assert_int_equal(f->bucket.ops->uploads_page(f->s3, &second, &end, note_key, &seen), 0);
	assert_null(end.key);
	assert_int_equal(f->bucket.ops->uploads_page(f->s3, &first, &end, note_key, &seen), -EXFULL);
	assert_string_equal(buf_string(&seen), "[a+ 1 9][a/b 2 9][c 4 9][d stop 9]");
	script_end(f);
	free(second.key);
	free(second.id);
}

/* -- delete -- */

static int remove_keys(struct fixture *f, const char *const *keys, size_t count, int *results)
{
	for (size_t i = 0; i < count; i++)
		results[i] = 77;
	return f->bucket.ops->remove(f->s3, keys, count, results);
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"a", "b<&>\"\n", "odd\x01", "c\xc3\xa9", "bad\xff", "gone", "broken"};
	int results[COUNT(keys)];

	SCRIPT(f, {"POST /media?delete=", 200, NULL,
		   "<DeleteResult><Error><Key>sys/b&lt;&amp;&gt;\"&#10;</Key><Code>AccessDenied</Code></Error>"
		   "<Error><Key>sys/gone</Key><Code>NoSuchKey</Code></Error>"
		   "<Error><Key>sys/broken</Key><Code>Whatever</Code></Error></DeleteResult>"},
	       {"DELETE /media/sys/odd%01", 204, NULL, NULL},
	       {"DELETE /media/sys/bad%FF", 400, NULL, ERROR_XML("InvalidObjectName")});
	assert_int_equal(remove_keys(f, keys, COUNT(keys), results), 0);
	static const int want[] = {0, -EACCES, 0, 0, -EINVAL, 0, -EHOSTDOWN};
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_int_equal(results[i], want[i]);
	script_end(f);
}

static void test_remove_body(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"a&b", "c\td"};
	int results[2];

	SCRIPT(f, {"POST /media?delete=", 200, NULL, "<DeleteResult/>"});
	assert_int_equal(remove_keys(f, keys, 2, results), 0);
	assert_string_equal(f->last->body,
			    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
			    "<Object><Key>sys/a&amp;b</Key></Object><Object><Key>sys/c&#9;d</Key></Object></Delete>");
	unsigned char md5[16], base64[32];
	EVP_Digest(f->last->body, f->last->body_bytes, md5, NULL, EVP_md5(), NULL);
	EVP_EncodeBlock(base64, md5, 16);
	assert_true(sent(f, "content-md5", (const char *)base64));
	assert_true(sent(f, "content-type", "application/xml"));
	script_end(f);
}

/* What FIPS mode does: the linker prefers this one, and there is no MD5 then. */
static bool fips;

EVP_MD *EVP_MD_fetch(OSSL_LIB_CTX *context, const char *name, const char *properties)
{
	EVP_MD *(*real)(OSSL_LIB_CTX *, const char *, const char *);

	*(void **)&real = dlsym(RTLD_NEXT, "EVP_MD_fetch");
	return fips && strcmp(name, "MD5") == 0 ? NULL : real(context, name, properties);
}

static void test_remove_without_md5(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"a", "b"};
	unsigned char sha256[32], base64[48];
	int results[2];

	fips = true;
	SCRIPT(f, {"POST /media?delete=", 200, NULL, "<DeleteResult/>"});
	int error = remove_keys(f, keys, 2, results);
	fips = false;
	assert_int_equal(error, 0);
	EVP_Digest(f->last->body, f->last->body_bytes, sha256, NULL, EVP_sha256(), NULL);
	EVP_EncodeBlock(base64, sha256, 32);
	assert_true(sent(f, "x-amz-checksum-sha256", (const char *)base64));
	script_end(f);
}

static void test_remove_without_md5_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"a", "b"};
	int results[2];

	fips = true;
	SCRIPT(f, {"POST /media?delete=", 400, NULL, ERROR_XML("InvalidRequest")}, {"DELETE /media/sys/a", 204, NULL, NULL},
	       {"DELETE /media/sys/b", 204, NULL, NULL});
	int error = remove_keys(f, keys, 2, results);
	fips = false;
	assert_int_equal(error, 0);
	script_end(f);
	assert_int_equal(teardown(state) | setup(state), 0); /* it would be remembered */
}

static void test_remove_one(void **state)
{
	struct fixture *f = *state;
	static const char *const key = "a b";
	int result;

	SCRIPT(f, {"DELETE /media/sys/a%20b", 204, NULL, NULL},
	       {"DELETE /media/sys/a%20b", 404, NULL, ERROR_XML("NoSuchKey")},
	       {"DELETE /media/sys/a%20b", 404, NULL, ERROR_XML("NoSuchBucket")},
	       {"DELETE /media/sys/a%20b", 503, NULL, ERROR_XML("SlowDown")});
	assert_int_equal(remove_keys(f, &key, 1, &result), 0);
	assert_int_equal(result, 0);
	assert_int_equal(remove_keys(f, &key, 1, &result), 0);
	assert_int_equal(result, 0);
	assert_int_equal(remove_keys(f, &key, 1, &result), -ENODEV);
	assert_int_equal(remove_keys(f, &key, 1, &result), -EHOSTDOWN);
	assert_true(fault_of_thread()->again);
	script_end(f);
}

static void test_remove_broken(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"a", "b"};
	static const struct {
		struct step step;
		int result;
		bool again;
	} cases[] = {
		{{NULL, 200, NULL, "<DeleteResult><Error><Key>sys/a</Key>"}, -EPROTO, true},
		{{NULL, 200, NULL, ""}, -EPROTO, true},
		{{NULL, 200, NULL, "<DeleteResult><Error><Key>a</Key><Code>X</Code></Error></DeleteResult>"}, -EPROTO, true},
		{{NULL, 200, NULL, "<DeleteResult><Error><Code>X</Code></Error></DeleteResult>"}, -EPROTO, true},
		{{NULL, 403, NULL, ERROR_XML("AccessDenied")}, -EACCES, false},
		{{NULL, 400, NULL, ERROR_XML("MalformedXML")}, -EINVAL, false},
		{{NULL, 500, NULL, ""}, -EHOSTDOWN, true},
	};
	int results[2];

	for (size_t i = 0; i < COUNT(cases); i++) {
		script(f, &cases[i].step, 1);
		assert_int_equal(remove_keys(f, keys, 2, results), cases[i].result);
		assert_int_equal(fault_of_thread()->again, cases[i].again);
		script_end(f);
	}
}

/* A server without DeleteObjects is remembered as one. Last: it stays so. */
static void test_remove_without_batches(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"a", "b"};
	int results[2];

	SCRIPT(f, {"POST /media?delete=", 501, NULL, ERROR_XML("NotImplemented")},
	       {"DELETE /media/sys/a", 204, NULL, NULL}, {"DELETE /media/sys/b", 204, NULL, NULL},
	       {"DELETE /media/sys/a", 204, NULL, NULL}, {"DELETE /media/sys/b", 503, NULL, NULL});
	assert_int_equal(remove_keys(f, keys, 2, results), 0);
	assert_int_equal(results[0] | results[1], 0);
	assert_int_equal(remove_keys(f, keys, 2, results), -EHOSTDOWN);
	script_end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),	      cmocka_unit_test(test_put_options),
		cmocka_unit_test(test_put_refused),   cmocka_unit_test(test_put_short_file),
		cmocka_unit_test(test_copy),	      cmocka_unit_test(test_copy_in_parts),
		cmocka_unit_test(test_upload),	      cmocka_unit_test(test_complete_answers),
		cmocka_unit_test(test_upload_list), cmocka_unit_test(test_uploads_page),   cmocka_unit_test(test_remove),
		cmocka_unit_test(test_remove_body),   cmocka_unit_test(test_remove_one),
		cmocka_unit_test(test_remove_without_md5), cmocka_unit_test(test_remove_without_md5_refused),
		cmocka_unit_test(test_remove_broken), cmocka_unit_test(test_remove_without_batches),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

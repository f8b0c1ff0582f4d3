#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "cache/base/buf.h"
#include "cache/bucket/s3_xml.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define LIST(inside) HEAD "<ListBucketResult" NS ">" inside "</ListBucketResult>"
#define KEY(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"

/* As Amazon sends it, with what is not used. */
static const char full[] = LIST(
	"<Name>media</Name><Prefix>a/</Prefix><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM="
	"</NextContinuationToken><KeyCount>3</KeyCount><MaxKeys>3</MaxKeys><Delimiter>%2F</Delimiter>"
	"<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
	"<Contents><Key>a/one+two%2Bthree</Key><LastModified>2024-02-29T23:59:59.000Z</LastModified>"
	"<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
	"<Size>434234</Size><Owner><ID>x</ID><DisplayName>Key</DisplayName></Owner>"
	"<StorageClass>STANDARD</StorageClass></Contents>"
	"<Contents><Key>a/%F0%9F%98%80</Key><LastModified>2024-02-29T23:59:59Z</LastModified>"
	"<ETag>&#34;abc-2&#34;</ETag><Size>0</Size></Contents>"
	"<CommonPrefixes><Prefix>a/sub%20dir/</Prefix></CommonPrefixes>");

static void test_list(void **state)
{
	(void)state;
	struct list_page page;

	assert_int_equal(s3_xml_list(full, strlen(full), &page), 0);
	assert_int_equal(page.count, 3);
	assert_string_equal(page.token, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=");
	assert_string_equal(page.entries[0].key, "a/one two+three");
	assert_int_equal(page.entries[0].key_bytes, 15);
	assert_false(page.entries[0].folder);
	assert_int_equal(page.entries[0].object.size_bytes, 434234);
	assert_string_equal(page.entries[0].object.etag, "d41d8cd98f00b204e9800998ecf8427e");
	assert_true(page.entries[0].object.mtime_ns == INT64_C(1709251199000000000));
	assert_false(page.entries[0].object.attrs.valid);
	assert_string_equal(page.entries[1].key, "a/\xf0\x9f\x98\x80");
	assert_string_equal(page.entries[1].object.etag, "abc-2");
	assert_string_equal(page.entries[2].key, "a/sub dir/");
	assert_true(page.entries[2].folder);
	assert_string_equal(page.entries[2].object.etag, "");
	list_page_destroy(&page);
}

/* Nothing that was cut off passes for a shorter list. */
static void test_list_cut(void **state)
{
	(void)state;
	struct list_page page;

	for (size_t n = 0; n < strlen(full); n++)
		assert_int_equal(s3_xml_list(full, n, &page), -EPROTO);
}

/* Only the flag counts, not how many there are; and a last page has no token. */
static void test_pages(void **state)
{
	(void)state;
	static const struct {
		const char *xml, *token;
		int result, count;
	} cases[] = {
		{LIST(""), NULL, 0, 0},
		{HEAD "<ListBucketResult/>", NULL, 0, 0},
		{LIST("<IsTruncated>false</IsTruncated>"), NULL, 0, 0},
		{LIST("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"), "t", 0, 0},
		{LIST("<IsTruncated>true</IsTruncated><NextContinuationToken>t &amp; u</NextContinuationToken>" KEY("a")),
		 "t & u", 0, 1},
		{LIST("<KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>"
		      "<NextContinuationToken>t</NextContinuationToken>" KEY("a")), "t", 0, 1},
		{LIST("<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>"), NULL, 0, 0},
		{LIST("<IsTruncated>true</IsTruncated>" KEY("a")), NULL, -EPROTO, 0},
		{LIST("<IsTruncated>true</IsTruncated><NextContinuationToken></NextContinuationToken>"), NULL,
		 -EPROTO, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct list_page page;

		assert_int_equal(s3_xml_list(cases[i].xml, strlen(cases[i].xml), &page), cases[i].result);
		if (cases[i].result)
			continue;
		assert_int_equal(page.count, cases[i].count);
		if (cases[i].token)
			assert_string_equal(page.token, cases[i].token);
		else
			assert_null(page.token);
		list_page_destroy(&page);
	}
}

static void test_keys(void **state)
{
	(void)state;
	static const struct {
		const char *xml, *key;
		size_t bytes; /* 0 = -EPROTO */
	} cases[] = {
		{LIST(KEY("a+b%20c")), "a+b%20c", 7}, /* not announced, not decoded */
		{LIST("<EncodingType>path</EncodingType>" KEY("a+b")), "a+b", 3},
		{LIST(KEY("a+b%20c") "<EncodingType>url</EncodingType>"), "a b c", 5},
		{LIST("<EncodingType>url</EncodingType>" KEY("a%00b")), "a\0b", 3},
		{LIST("<EncodingType>url</EncodingType>" KEY("a%01b")), "a\x01" "b", 3},
		{LIST("<EncodingType>url</EncodingType>" KEY("%ff%FE")), "\xff\xfe", 2},
		{LIST("<EncodingType>url</EncodingType>" KEY("a%0")), NULL, 0},
		{LIST(KEY("&lt;&amp;&gt;&quot;&apos;&#233;&#xe9;")), "<&>\"'\xc3\xa9\xc3\xa9", 9},
		{LIST(KEY("a&#x01;b&#x1f;")), "a\x01" "b\x1f", 4}, /* Ceph */
		{LIST(KEY("a&#x09;&#x0a;b")), "a\t\nb", 4},
		{LIST(KEY("a&#x00;b")), NULL, 0},
		{LIST(KEY("a&#1;b")), NULL, 0},
		{LIST(KEY("a&#x1;b")), NULL, 0},
		{LIST(KEY("a\x01" "b")), NULL, 0},
		{LIST(KEY("\xff\xfe")), NULL, 0},
		{LIST(KEY("\xf4\x8f\xbf\xbf" "41")), "\xf4\x8f\xbf\xbf" "41", 6},
		{LIST(KEY("&#x01;\xf4\x8f\xbf\xbf" "41")), NULL, 0},
		{LIST(KEY("<![CDATA[&#x01;]]>")), NULL, 0},
		{LIST(KEY("<![CDATA[<a>]]>")), "<a>", 3},
		{LIST(KEY("&#55296;")), NULL, 0},
		{LIST(KEY("&undefined;")), NULL, 0},
		{LIST(KEY(" a ")), " a ", 3},
		{LIST(KEY("../../etc/passwd")), "../../etc/passwd", 16},
		{LIST("<Contents><Key/><Size>1</Size></Contents><Contents/>"), NULL, 0},
		{LIST("<Contents><Size>1</Size></Contents>"), NULL, 0},
		{LIST("<Contents><Key>a</Key></Contents>"), NULL, 0},
		{LIST("<Contents><Key>a</Key><Key>b</Key><Size>1</Size></Contents>"), NULL, 0},
		{LIST("<Contents><Key>a</Key><Size>-1</Size></Contents>"), NULL, 0},
		{LIST("<Contents><Key>a</Key><Size>1e3</Size></Contents>"), NULL, 0},
		{LIST("<Contents><Key>a</Key><Size/></Contents>"), NULL, 0},
		{LIST("<Contents><Key>a</Key><Size>18446744073709551616</Size></Contents>"), NULL, 0},
		{"<s3:ListBucketResult xmlns:s3=\"x\"><s3:Contents><s3:Key>k</s3:Key><s3:Size>1</s3:Size></s3:Contents>"
		 "</s3:ListBucketResult>", "k", 1},
		{"\n\r\t " LIST(KEY("k")), "k", 1},
		{"\xef\xbb\xbf" LIST(KEY("k")), "k", 1},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct list_page page;
		int r = s3_xml_list(cases[i].xml, strlen(cases[i].xml), &page);

		if (r != (cases[i].bytes ? 0 : -EPROTO))
			print_message("case %zu: %s\n", i, cases[i].xml);
		assert_int_equal(r, cases[i].bytes ? 0 : -EPROTO);
		if (r)
			continue;
		assert_int_equal(page.count, 1);
		assert_int_equal(page.entries[0].key_bytes, cases[i].bytes);
		assert_memory_equal(page.entries[0].key, cases[i].key, cases[i].bytes);
		list_page_destroy(&page);
	}
}

/* As Ceph 16 really answers: an echoed prefix and a token with control characters. */
static void test_ceph_token(void **state)
{
	(void)state;
	static const char xml[] = HEAD
		"<ListBucketResult" NS "><EncodingType>url</EncodingType><Name>b</Name><Prefix>c&#x01;d/</Prefix>"
		"<MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated><Contents><Key>c%01d%2Fx%01y%20z%2Bw</Key>"
		"<LastModified>2026-11-22T15:39:52.033Z</LastModified><ETag>&quot;b1946ac92492d2347c6235b4d2611184&quot;"
		"</ETag><Size>6</Size><StorageClass>STANDARD</StorageClass><Type>Normal</Type></Contents>"
		"<NextContinuationToken>c&#x01;d/x&#x01;y z+w</NextContinuationToken><KeyCount>1</KeyCount>"
		"</ListBucketResult>";
	struct list_page page;

	assert_int_equal(s3_xml_list(xml, strlen(xml), &page), 0);
	assert_string_equal(page.token, "c\x01" "d/x\x01y z+w");
	assert_string_equal(page.entries[0].key, "c\x01" "d/x\x01y z+w");
	list_page_destroy(&page);
}

/* One refusal for each answer: whatever parses as one must not parse as another. */
static int parse_any(int which, const char *xml, size_t length)
{
	char etag[ETAG_BYTES], id[UPLOAD_ID_BYTES];
	struct s3_xml_uploads_next next;
	struct s3_error error;
	struct list_page page;
	int r;

	switch (which) {
	case 0:
		r = s3_xml_list(xml, length, &page);
		if (r == 0)
			list_page_destroy(&page);
		return r;
	case 1:
		return s3_xml_error(xml, length, &error);
	case 2:
		return s3_xml_etag(xml, length, etag, &error);
	case 3:
		return s3_xml_upload_id(xml, length, id);
	case 4:
		return s3_xml_delete(xml, length, NULL, NULL);
	default:
		return s3_xml_uploads(xml, length, NULL, NULL, &next);
	}
}
enum { PARSERS = 6 };

#define BOMB                                                                                       \
	"<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"          \
	"<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><ListBucketResult>&c;</ListBucketResult>"

static void test_not_xml(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", " \n", "x", "<", "<html><body>404</body></html>", "<html><body>404<br></body></html>",
		HEAD, "{\"error\": 1}", "<a></b>", "<ListBucketResult>", "</ListBucketResult>",
		"<ListBucketResult></ListBucketResult><ListBucketResult/>", "\x1f\x8b\x08",
		"<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult/>",
		"<!DOCTYPE ListBucketResult SYSTEM \"file:///etc/passwd\"><ListBucketResult/>",
		BOMB,
		"<a><b><c><d><e><f><g><h><i><j><k><l><m/></l></k></j></i></h></g></f></e></d></c></b></a>",
	};

	for (int p = 0; p < PARSERS; p++)
		for (size_t i = 0; i < COUNT(bad); i++)
			assert_int_equal(parse_any(p, bad[i], strlen(bad[i])), -EPROTO);
	for (int p = 0; p < PARSERS; p++) {
		assert_int_equal(parse_any(p, "<ListBucketResult>\0</ListBucketResult>", 38), -EPROTO);
		assert_int_equal(parse_any(p, "<ListBucketResult/>\0", 20), -EPROTO);
	}
}

static void test_size(void **state)
{
	(void)state;
	struct buf xml = BUF_EMPTY;
	struct list_page page;

	/* One byte at the limit, one beyond, and a hundred million. */
	buf_text(&xml, "<ListBucketResult>");
	while (xml.length < XML_BYTES_MAX - strlen("</ListBucketResult>"))
		buf_text(&xml, "\n");
	buf_text(&xml, "</ListBucketResult>");
	assert_int_equal(xml.length, XML_BYTES_MAX);
	assert_int_equal(s3_xml_list(xml.data, xml.length, &page), -EPROTO); /* a text over 64 KiB */
	buf_clear(&xml);
	buf_text(&xml, "<ListBucketResult>");
	while (xml.length < XML_BYTES_MAX - 64)
		buf_text(&xml, "<!-- aaaaaaaaaaaaaaaaaa -->");
	buf_text(&xml, "</ListBucketResult>");
	assert_int_equal(s3_xml_list(xml.data, xml.length, &page), 0);
	list_page_destroy(&page);
	while (xml.length < 100000000)
		buf_append(&xml, "                                                  ", 50);
	assert_int_equal(s3_xml_list(xml.data, xml.length, &page), -EPROTO);
	buf_destroy(&xml);
}

static void test_too_many(void **state)
{
	(void)state;
	static const int counts[] = {1000, 10000, 10001};
	struct list_page page;

	for (size_t c = 0; c < COUNT(counts); c++) {
		struct buf xml = BUF_EMPTY;

		buf_text(&xml, "<ListBucketResult>");
		for (int i = 0; i < counts[c]; i++)
			buf_printf(&xml, KEY("k%d"), i);
		buf_text(&xml, "</ListBucketResult>");
		assert_int_equal(s3_xml_list(xml.data, xml.length, &page), counts[c] > 10000 ? -EPROTO : 0);
		if (counts[c] <= 10000) {
			assert_int_equal(page.count, counts[c]);
			assert_string_equal(page.entries[counts[c] - 1].key, counts[c] == 1000 ? "k999" : "k9999");
			list_page_destroy(&page);
		}
		buf_destroy(&xml);
	}
}

static void test_error(void **state)
{
	(void)state;
	static const char amazon[] = HEAD
		"<Error><Code>PermanentRedirect</Code><Message>The bucket you are\nattempting</Message>"
		"<Endpoint>media.s3.eu-west-1.amazonaws.com</Endpoint><Region>eu-west-1</Region>"
		"<Nested><Code>No</Code></Nested><RequestId>x</RequestId></Error>";
	static const char ceph[] = HEAD "<Error><Code>NoSuchKey</Code><Message></Message></Error>";
	struct s3_error e;
	struct buf xml = BUF_EMPTY;

	assert_int_equal(s3_xml_error(amazon, strlen(amazon), &e), 0);
	assert_string_equal(e.code, "PermanentRedirect");
	assert_string_equal(e.message, "The bucket you are?attempting");
	assert_string_equal(e.endpoint, "media.s3.eu-west-1.amazonaws.com");
	assert_string_equal(e.region, "eu-west-1");
	assert_int_equal(s3_xml_error(ceph, strlen(ceph), &e), 0);
	assert_string_equal(e.code, "NoSuchKey");
	assert_string_equal(e.message, "");
	for (size_t n = 0; n < strlen(ceph); n++) {
		assert_int_equal(s3_xml_error(ceph, n, &e), -EPROTO);
		assert_string_equal(e.code, "");
	}
	buf_text(&xml, "<Error><Code>");
	for (int i = 0; i < 5000; i++)
		buf_text(&xml, "x");
	buf_text(&xml, "</Code></Error>");
	assert_int_equal(s3_xml_error(xml.data, xml.length, &e), 0);
	assert_int_equal(strlen(e.code), sizeof(e.code) - 1);
	buf_destroy(&xml);
}

static void test_etag(void **state)
{
	(void)state;
	static const struct {
		const char *xml;
		int result;
		const char *etag, *code;
	} cases[] = {
		{"<CopyObjectResult><LastModified>2009-10-12T17:50:30Z</LastModified><ETag>\"9b\"</ETag></CopyObjectResult>",
		 0, "9b", ""},
		{"<CopyPartResult><ETag>&quot;9b&quot;</ETag></CopyPartResult>", 0, "9b", ""},
		{"  \n\n" HEAD "<CompleteMultipartUploadResult" NS "><Location>http://x</Location><Key>k</Key>"
		 "<ETag>&#34;9b-2&#34;</ETag></CompleteMultipartUploadResult>", 0, "9b-2", ""},
		{"<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>", -ENODATA, "", ""},
		{"<CopyObjectResult/>", -ENODATA, "", ""},
		{HEAD "<Error><Code>InternalError</Code><Message>m</Message></Error>", -EREMOTEIO, "",
		 "InternalError"},
		{"<Error/>", -EREMOTEIO, "", ""},
		{"<Other><ETag>x</ETag></Other>", 0, "x", ""},
		{"<Other/>", -EPROTO, "", ""},
		{"<CopyObjectResult><ETag>\"9b\"</ETag>", -EPROTO, NULL, ""},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char etag[ETAG_BYTES] = "before";
		struct s3_error e;

		assert_int_equal(s3_xml_etag(cases[i].xml, strlen(cases[i].xml), etag, &e), cases[i].result);
		if (cases[i].etag)
			assert_string_equal(etag, cases[i].etag);
		assert_string_equal(e.code, cases[i].result == -EPROTO ? e.code : cases[i].code);
	}
}

static void test_upload_id(void **state)
{
	(void)state;
	char id[UPLOAD_ID_BYTES], xml[4096], long_id[UPLOAD_ID_BYTES + 1];

	snprintf(xml, sizeof(xml), "%s", HEAD "<InitiateMultipartUploadResult" NS "><Bucket>b</Bucket><Key>k</Key>"
		 "<UploadId>2~j_XSW+/=&amp;</UploadId></InitiateMultipartUploadResult>");
	assert_int_equal(s3_xml_upload_id(xml, strlen(xml), id), 0);
	assert_string_equal(id, "2~j_XSW+/=&");
	for (size_t n = UPLOAD_ID_BYTES - 1; n <= UPLOAD_ID_BYTES; n++) {
		memset(long_id, 'x', n);
		long_id[n] = '\0';
		snprintf(xml, sizeof(xml), "<InitiateMultipartUploadResult><UploadId>%s</UploadId>"
			 "</InitiateMultipartUploadResult>", long_id);
		assert_int_equal(s3_xml_upload_id(xml, strlen(xml), id), n < UPLOAD_ID_BYTES ? 0 : -EPROTO);
	}
	assert_int_equal(s3_xml_upload_id("<InitiateMultipartUploadResult/>", 32, id), -EPROTO);
}

static void note(void *arg, const char *key, const char *code, const char *message)
{
	buf_printf(arg, "[%s|%s|%s]", key, code, message);
}

static void test_delete(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"<DeleteResult" NS "/>", ""},
		{HEAD "<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>", ""},
		{"<DeleteResult><Error><Key>a &amp; b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
		 "<Deleted><Key>c</Key></Deleted><Error><Code>InternalError</Code><Key>d</Key></Error></DeleteResult>",
		 "[a & b|AccessDenied|no][d|InternalError|]"},
		{"<DeleteResult><Error/></DeleteResult>", "[||]"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF struct buf seen = BUF_EMPTY;
		assert_int_equal(s3_xml_delete(cases[i][0], strlen(cases[i][0]), note, &seen), 0);
		assert_string_equal(buf_string(&seen), cases[i][1]);
	}
}

static int note_upload(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	buf_printf(arg, "[%s|%s|%lld]", key, id, (long long)(initiated_ns / 1000000000));
	return strcmp(key, "stop") == 0 ? -EXFULL : 0;
}

#define UPLOADS(inside) "<ListMultipartUploadsResult>" inside "</ListMultipartUploadsResult>"
#define UPLOAD(key, id) "<Upload><Key>" key "</Key><UploadId>" id "</UploadId>" \
			"<Initiated>2024-02-29T23:59:59.000Z</Initiated></Upload>"

static void test_uploads(void **state)
{
	(void)state;
	static const struct {
		const char *xml;
		int result;
		const char *seen, *key_marker, *id_marker;
	} cases[] = {
		{UPLOADS(""), 0, "", NULL, NULL},
		{UPLOADS(UPLOAD("a", "1") UPLOAD("a+b", "2")), 0, "[a|1|1709251199][a+b|2|1709251199]", NULL, NULL},
		{UPLOADS(UPLOAD("a%2Bb+c", "1%2B") "<EncodingType>url</EncodingType>"), 0,
		 "[a+b c|1%2B|1709251199]", NULL, NULL},
		{UPLOADS("<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
			 "<NextUploadIdMarker>i</NextUploadIdMarker>" UPLOAD("a", "1")),
		 0, "[a|1|1709251199]", "k", "i"},
		{UPLOADS("<IsTruncated>true</IsTruncated><NextKeyMarker>k%20</NextKeyMarker>"
			 "<EncodingType>url</EncodingType>"), 0, "", "k ", ""},
		{UPLOADS("<IsTruncated>false</IsTruncated><NextKeyMarker>k</NextKeyMarker>"), 0, "", NULL, NULL},
		{UPLOADS("<IsTruncated>true</IsTruncated>"), -EPROTO, "", NULL, NULL},
		{UPLOADS(UPLOAD("", "1")), -EPROTO, "", NULL, NULL},
		{UPLOADS(UPLOAD("a", "")), -EPROTO, "", NULL, NULL},
		{UPLOADS("<EncodingType>url</EncodingType>" UPLOAD("a%", "1")), -EPROTO, "", NULL, NULL},
		{UPLOADS(UPLOAD("stop", "1") UPLOAD("b", "2")), -EXFULL, "[stop|1|1709251199]", NULL, NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF struct buf seen = BUF_EMPTY;
		struct s3_xml_uploads_next next;

		assert_int_equal(s3_xml_uploads(cases[i].xml, strlen(cases[i].xml), note_upload, &seen, &next),
				 cases[i].result);
		assert_string_equal(buf_string(&seen), cases[i].seen);
		if (cases[i].key_marker) {
			assert_string_equal(next.key_marker, cases[i].key_marker);
			assert_string_equal(next.id_marker, cases[i].id_marker);
		} else {
			assert_null(next.key_marker);
			assert_null(next.id_marker);
		}
		free(next.key_marker);
		free(next.id_marker);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),	   cmocka_unit_test(test_list_cut), cmocka_unit_test(test_pages),
		cmocka_unit_test(test_keys),	   cmocka_unit_test(test_ceph_token), cmocka_unit_test(test_not_xml),
		cmocka_unit_test(test_size),	   cmocka_unit_test(test_too_many), cmocka_unit_test(test_error),
		cmocka_unit_test(test_etag),	   cmocka_unit_test(test_upload_id), cmocka_unit_test(test_delete),
		cmocka_unit_test(test_uploads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

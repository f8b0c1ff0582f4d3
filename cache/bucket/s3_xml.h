/* The XML answers of S3 (Amazon S3 API Reference): lists, errors, copy, multipart, delete results.
 *
 * Pure, on expat. Input is hostile: no entities beyond the five, depth, element and size limits
 * (XML_BYTES_MAX in all); broken or cut XML is -EPROTO. Characters that are illegal in XML 1.0 make the
 * page -EPROTO unless they come as %XX under encoding-type=url, or as Ceph's &#xXX;. Decoded only where
 * EncodingType says so. */
#ifndef TOOTFS_S3_XML_H
#define TOOTFS_S3_XML_H

#include "bucket.h"

enum { XML_BYTES_MAX = 8 << 20 };

struct s3_error {
	char code[64], message[256], region[64], endpoint[256];
};

int s3_xml_list(const char *xml, size_t length, struct list_page *out) MUST_CHECK;
int s3_xml_error(const char *xml, size_t length, struct s3_error *out) MUST_CHECK;
/* CopyObjectResult, CopyPartResult, CompleteMultipartUploadResult: the ETag. A 200 with an <Error> inside is
 * -EREMOTEIO with *error filled; a result without an ETag is -ENODATA. */
int s3_xml_etag(const char *xml, size_t length, char etag[ETAG_BYTES], struct s3_error *error) MUST_CHECK;
int s3_xml_upload_id(const char *xml, size_t length, char id[UPLOAD_ID_BYTES]) MUST_CHECK;
/* DeleteResult in quiet mode: visit gets each <Error>. */
typedef void s3_xml_delete_visit(void *arg, const char *key, const char *code, const char *message);
int s3_xml_delete(const char *xml, size_t length, s3_xml_delete_visit *visit, void *arg) MUST_CHECK;
typedef int s3_xml_uploads_visit(void *arg, const char *key, const char *id, int64_t initiated_ns);
struct s3_xml_uploads_next {
	char *key_marker, *id_marker; /* malloc'ed, NULL on the last page */
};
int s3_xml_uploads(const char *xml, size_t length, s3_xml_uploads_visit *visit, void *arg,
		   struct s3_xml_uploads_next *next) MUST_CHECK;

#endif

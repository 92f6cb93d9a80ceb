/* CRC-32C (Castagnoli, polynomial 0x1edc6f41, reflected), as in iSCSI (RFC 3720 B.4). Four bits at a time
 * from a table of 16: a journal is some kilobytes, speed is of no interest. */
#include "migrate/journal/journal_file.h"

static const uint32_t crc_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t mig_crc32c(uint32_t crc, const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    crc = ~crc;
    while (length-- > 0) {
        crc ^= *p++;
        crc = crc >> 4 ^ crc_table[crc & 15];
        crc = crc >> 4 ^ crc_table[crc & 15];
    }
    return ~crc;
}

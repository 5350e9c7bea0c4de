#include "cabac.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXTS = 40, STATES = 64 };

/* Table 9-44: the range of the less probable symbol. */
static const uint8_t RANGES[STATES][4] = {
    {128, 176, 208, 240}, {128, 167, 197, 227}, {128, 158, 187, 216}, {123, 150, 178, 205}, {116, 142, 169, 195}, {111, 135, 160, 185},
    {105, 128, 152, 175}, {100, 122, 144, 166}, {95, 116, 137, 158},  {90, 110, 130, 150},  {85, 104, 123, 142},  {81, 99, 117, 135},
    {77, 94, 111, 128},   {73, 89, 105, 122},   {69, 85, 100, 116},   {66, 80, 95, 110},    {62, 76, 90, 104},    {59, 72, 86, 99},
    {56, 69, 81, 94},     {53, 65, 77, 89},     {51, 62, 73, 85},     {48, 59, 69, 80},     {46, 56, 66, 76},     {43, 53, 63, 72},
    {41, 50, 59, 69},     {39, 48, 56, 65},     {37, 45, 54, 62},     {35, 43, 51, 59},     {33, 41, 48, 56},     {32, 39, 46, 53},
    {30, 37, 43, 50},     {29, 35, 41, 48},     {27, 33, 39, 45},     {26, 31, 37, 43},     {24, 30, 35, 41},     {23, 28, 33, 39},
    {22, 27, 32, 37},     {21, 26, 30, 35},     {20, 24, 29, 33},     {19, 23, 27, 31},     {18, 22, 26, 30},     {17, 21, 25, 28},
    {16, 20, 23, 27},     {15, 19, 22, 25},     {14, 18, 21, 24},     {14, 17, 20, 23},     {13, 16, 19, 22},     {12, 15, 18, 21},
    {12, 14, 17, 20},     {11, 14, 16, 19},     {11, 13, 15, 18},     {10, 12, 15, 17},     {10, 12, 14, 16},     {9, 11, 13, 15},
    {9, 11, 12, 14},      {8, 10, 12, 14},      {8, 9, 11, 13},       {7, 9, 11, 12},       {7, 9, 10, 12},       {7, 8, 10, 11},
    {6, 8, 9, 11},        {6, 7, 9, 10},        {6, 7, 8, 9},         {2, 2, 2, 2},
};
/* Table 9-45: the state after the less probable symbol. */
static const uint8_t AFTER[STATES] = {0,  0,  1,  2,  2,  4,  4,  5,  6,  7,  8,  9,  9,  11, 11, 12, 13, 13, 15, 15, 16, 16,
                                      18, 18, 19, 19, 21, 21, 22, 22, 23, 24, 24, 25, 26, 26, 27, 27, 28, 29, 29, 30, 30, 30,
                                      31, 32, 32, 33, 33, 33, 34, 34, 35, 35, 35, 36, 36, 36, 37, 37, 37, 38, 38, 63};
/* Tables 9-12 to 9-14, cabac_init_idc 0: how the contexts that are used here begin. */
static const struct {
    int context, m, n;
} BEGIN[] = {
    {3, 20, -15}, {4, 2, 54},   {5, 3, 74},   {11, 23, 33}, {12, 23, 2},  {13, 21, 0},    {14, 1, 9},     {17, 5, 57}, {24, 18, 64},
    {25, 9, 43},  {26, 29, 0},  {27, 26, 67}, {28, 16, 90}, {29, 9, 104}, {30, -46, 127}, {31, -20, 104}, {32, 1, 67}, {-1, 0, 0},
};

struct coder {
    struct bits *bits;
    int low, range, outstanding, first;
    uint8_t state[CONTEXTS], likely[CONTEXTS];
};

void put_bit(struct bits *bits, int bit)
{
    if (bits->size / 8 >= bits->room) {
        bits->room = 2 * bits->room + 4096;
        bits->data = realloc(bits->data, bits->room);
    }
    if (bits->size % 8 == 0)
        bits->data[bits->size / 8] = 0;
    bits->data[bits->size / 8] |= !!bit << (7 - bits->size % 8);
    bits->size++;
}

void put_golomb(struct bits *bits, unsigned number)
{
    int length = 32 - __builtin_clz(++number);
    for (int i = 1; i < length; i++)
        put_bit(bits, 0);
    while (length--)
        put_bit(bits, number >> length & 1);
}

void put_number(struct bits *bits, unsigned number, int length)
{
    while (length--)
        put_bit(bits, number >> length & 1);
}

void unescape(struct bits *bits, const uint8_t *unit, size_t size)
{
    int zeros = 0;
    for (size_t i = 0; i < size; i++) {
        if (zeros == 2 && unit[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = unit[i] ? 0 : zeros + 1;
        put_number(bits, unit[i], 8);
    }
}

void escape(struct bits *bits, const uint8_t *unit, size_t size)
{
    int zeros = 0;
    for (size_t i = 0; i < size; i++) {
        if (zeros == 2 && unit[i] <= 3) {
            put_number(bits, 3, 8);
            zeros = 0;
        }
        zeros = unit[i] ? 0 : zeros + 1;
        put_number(bits, unit[i], 8);
    }
}

static void begin(struct coder *coder)
{
    coder->low = 0;
    coder->range = 510;
    coder->first = 1;
    coder->outstanding = 0;
}

static void put(struct coder *coder, int bit)
{
    if (coder->first)
        coder->first = 0;
    else
        put_bit(coder->bits, bit);
    for (; coder->outstanding; coder->outstanding--)
        put_bit(coder->bits, !bit);
}

static void renormalize(struct coder *coder)
{
    while (coder->range < 256) {
        if (coder->low < 256)
            put(coder, 0);
        else if (coder->low >= 512) {
            coder->low -= 512;
            put(coder, 1);
        } else {
            coder->low -= 256;
            coder->outstanding++;
        }
        coder->range <<= 1;
        coder->low <<= 1;
    }
}

static void decide(struct coder *coder, int context, int bin)
{
    uint8_t *state = &coder->state[context], *likely = &coder->likely[context];
    int least = RANGES[*state][coder->range >> 6 & 3];
    coder->range -= least;
    if (bin != *likely) {
        coder->low += coder->range;
        coder->range = least;
        if (!*state)
            *likely = !*likely;
        *state = AFTER[*state];
    } else if (*state < 62)
        ++*state;
    renormalize(coder);
}

static void terminate(struct coder *coder, int bin)
{
    coder->range -= 2;
    if (bin) {
        coder->low += coder->range;
        coder->range = 2;
        renormalize(coder);
        put(coder, coder->low >> 9 & 1);
        put_bit(coder->bits, coder->low >> 8 & 1);
        put_bit(coder->bits, 1);
    } else
        renormalize(coder);
}

static void set_up(struct coder *coder, int qp)
{
    for (int i = 0; BEGIN[i].context >= 0; i++) {
        int before = ((BEGIN[i].m * qp) >> 4) + BEGIN[i].n;
        before = before < 1 ? 1 : before > 126 ? 126 : before;
        coder->likely[BEGIN[i].context] = before > 63;
        coder->state[BEGIN[i].context] = before > 63 ? before - 64 : 63 - before;
    }
    begin(coder);
}

/* Say that a macroblock holds samples; `neighbors`: how many there are to the left and above, which are like it. */
static void announce(struct coder *coder, enum slice type, int neighbors)
{
    if (type == SLICE_I)
        decide(coder, 3 + neighbors, 1);
    if (type == SLICE_P) {
        decide(coder, 11 + neighbors, 0); /* not skipped */
        decide(coder, 14, 1);
        decide(coder, 17, 1);
    }
    if (type == SLICE_B) {
        decide(coder, 24 + neighbors, 0);
        decide(coder, 27 + neighbors, 1);
        decide(coder, 27 + 3, 1);
        decide(coder, 27 + 4, 1);
        decide(coder, 27 + 5, 1);
        decide(coder, 27 + 5, 0);
        decide(coder, 27 + 5, 1);
        decide(coder, 32, 1);
    }
    terminate(coder, 1);
}

static void put_byte(struct bits *bits, int byte)
{
    for (int i = 7; i >= 0; i--)
        put_bit(bits, byte >> i & 1);
}

static void align(struct bits *bits, int bit)
{
    while (bits->size % 8)
        put_bit(bits, bit);
}

void put_samples(struct bits *bits, enum slice type, int qp, int cabac, const uint8_t *luma, const uint8_t *chroma, int stride, int across,
                 int down)
{
    static const int in_golomb[] = {[SLICE_P] = 30, [SLICE_B] = 48, [SLICE_I] = 25};
    struct coder coder = {.bits = bits};
    if (cabac) {
        align(bits, 1);
        set_up(&coder, qp);
    }
    for (int row = 0; row < down; row++)
        for (int column = 0; column < across; column++) {
            int last = row == down - 1 && column == across - 1;
            if (cabac)
                announce(&coder, type, !!row + !!column);
            else {
                if (type != SLICE_I)
                    put_golomb(bits, 0); /* none is skipped */
                put_golomb(bits, in_golomb[type]);
            }
            align(bits, 0);
            for (int i = 0; i < 256; i++)
                put_byte(bits, luma[(16 * row + i / 16) * stride + 16 * column + i % 16]);
            for (int plane = 0; plane < 2; plane++)
                for (int i = 0; i < 64; i++)
                    put_byte(bits, chroma[(8 * row + i / 8) * stride + 16 * column + 2 * (i % 8) + plane]);
            if (cabac) {
                begin(&coder);
                terminate(&coder, last); /* whose last bit ends the slice */
            } else if (last)
                put_bit(bits, 1);
        }
    align(bits, 0);
}

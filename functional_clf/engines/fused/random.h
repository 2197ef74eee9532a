/* Counter-based random numbers, bit for bit those of `core/random.py`. Included where a program
 * draws any. */

/* Threefry-2x32 with 20 rounds (Salmon et al. 2011), of the counter (0, x1); one word of the two,
 * or for `word` 2 the exclusive or of both. */
INLINE unsigned threefry(const unsigned k0, const unsigned k1, const unsigned counter,
                         const int word)
{
    const unsigned k2 = k0 ^ k1 ^ 0x1BD11BDAu;
    unsigned a = k0, b = counter + k1;
#define ROUND(by) a += b, b = b << by | b >> (32 - by), b ^= a
    ROUND(13), ROUND(15), ROUND(26), ROUND(6), a += k1, b += k2 + 1;
    ROUND(17), ROUND(29), ROUND(16), ROUND(24), a += k2, b += k0 + 2;
    ROUND(13), ROUND(15), ROUND(26), ROUND(6), a += k0, b += k1 + 3;
    ROUND(17), ROUND(29), ROUND(16), ROUND(24), a += k1, b += k2 + 4;
    ROUND(13), ROUND(15), ROUND(26), ROUND(6), a += k2, b += k0 + 5;
#undef ROUND
    return word == 0 ? a : word == 1 ? b : a ^ b;
}
/* One word of `fold_in(key, data)`. */
INLINE int fold_in(int k0, int k1, long data, int word)
{
    return (int)threefry((unsigned)k0, (unsigned)k1, (unsigned)data, word);
}
/* Element i of `bits(key, shape)`. */
INLINE int random_bits(int k0, int k1, int i)
{
    return (int)threefry((unsigned)k0, (unsigned)k1, (unsigned)i, 2);
}

from functional_clf.data.seeds import MAX_SEED, as_seeds, crossed_replicate, replicate


def test_vary_says_which_seeds_move():
    def moved(vary):
        one, two = replicate(1, vary), replicate(2, vary)
        return [name for name in one._fields if getattr(one, name) != getattr(two, name)]

    assert moved("data") == ["seed", "data_seed", "split_seed", "init_seed"]
    assert moved("split") == ["seed", "split_seed", "init_seed"]
    assert moved("init") == ["seed", "init_seed"]


def test_no_two_named_seeds_are_equal():
    named = [number for seed in range(1000) for number in replicate(seed, "data")[1:]]
    assert len(set(named)) == len(named)
    assert max(replicate(MAX_SEED, "data")) < 2**32


def test_cells_of_a_grid_share_data_by_rows_and_weights_by_columns():
    grid = [[crossed_replicate(4 * row + column, 4) for column in range(4)] for row in range(3)]
    for row in range(3):
        for column in range(4):
            one = grid[row][column]
            assert one.seed == 4 * row + column
            assert one[1:3] == grid[row][0][1:3] == replicate(row, "data")[1:3]
            assert one.init_seed == grid[0][column].init_seed == replicate(column, "data").init_seed


def test_seeds_are_a_count_or_a_range():
    assert as_seeds(3) == range(3)
    assert as_seeds(range(30, 40)) == range(30, 40)
    assert as_seeds(range(MAX_SEED, MAX_SEED + 1))[0] == MAX_SEED

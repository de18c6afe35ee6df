"""Failures of files, settings and programs, 41 to 62."""

from mfl_adapt.doctor.failure import Failure

FILES = (
    Failure(
        41,
        "another model than was meant",
        "Human faces came out of mice: a path was wrong, a warning scrolled by, and the base model "
        "took its place.",
        ("MFL041",),
        "Paths and hashes of all files that a configuration names are compared before a model is "
        "built, and nothing is taken in the place of a missing one.",
        ("doctor/test_named_files.py::test_training_looks_at_files_before_it_builds_anything",),
    ),
    Failure(
        42,
        "trained from random weights",
        "A checkpoint was missing or did not fit; the error was printed, and training went on "
        "from random weights.",
        ("MFL042",),
        "Weights are loaded strictly: a missing, unexpected or misshapen tensor is an error that "
        "names it.",
        (
            "models/test_checkpoint.py::test_loading_is_strict_and_names_everything",
            "models/test_mvdiffusion_folder.py::test_a_missing_tensor",
        ),
    ),
    Failure(
        43,
        "checkpoints written elsewhere",
        "12,000 steps were lost, as a prefix was put before the path twice.",
        ("MFL043", "MFL069", "MFL075"),
        "Checkpoints are written whole, with their hashes, and a run goes on from the newest that "
        "verifies.",
        (
            "train/test_checkpoints.py::test_what_is_written_is_read",
            "train/test_checkpoints.py::test_the_newest_that_verifies_is_taken",
        ),
    ),
    Failure(
        44,
        "prompt embeddings of zeros",
        "A missing file became zeros, and all six views looked alike.",
        ("MFL044", "MFL041"),
        "A run judges them before its model is built; prompts make and prompts check do so too.",
        (
            "doctor/test_named_files.py::test_training_judges_prompts_before_it_builds_anything",
            "models/test_mvdiffusion_prompt_sets.py::test_limit_of_likeness",
        ),
    ),
    Failure(
        45,
        "prompt embeddings of another text tower",
        "768 numbers per token where the model takes 1024.",
        ("MFL045",),
    ),
    Failure(
        46,
        "configurations that do not load",
        "Shipped files had unknown keys.",
        ("MFL046",),
        "A test loads every preset.",
        ("config/test_presets.py::test_every_key_of_a_preset_is_valid",),
    ),
    Failure(
        47,
        "the wrong dataset, in silence",
        "A switch was missing in 10 of 17 files; the reader of human heads read the mice, raw.",
        ("MFL047",),
        "A reader is named, or exactly one knows the path.",
        ("config/test_components.py::test_bad_component_or_setting",),
    ),
    Failure(
        48,
        "not prepared, or changed since",
        "Data were taken for prepared that were not; nothing recorded what had been done.",
        ("MFL048",),
        "Every stage leaves a record in the sample. Data of other programs have none, and are "
        "judged by what they are.",
    ),
    Failure(
        49,
        "views dropped in silence",
        "Pictures without alpha were left out, and samples ended up with fewer views.",
        ("MFL049",),
        "A step that needs alpha stops at the first picture without.",
        ("doctor/test_injected_failures.py::test_failure_49_pictures_without_alpha",),
    ),
    Failure(
        50,
        "success that was reported as failure",
        "A converter printed 'Failed: all' and divided by zero, though its files were there.",
        (),
        "An error of a program, not of data. Commands are tested on small datasets of their own, "
        "and a folder of results is complete or marked as not.",
        ("prepare/test_make_dataset.py::test_a_dataset_and_its_lists",),
    ),
    Failure(
        51,
        "another sample in place of a bad one",
        "A reader that failed returned a random other sample, and nobody ever knew.",
        ("MFL051",),
        "A sample that cannot be read stops whoever reads it; --skip-bad N leaves out at most N, "
        "and counts them.",
        (
            "doctor/test_injected_failures.py::test_failure_51_a_bad_sample_is_never_replaced",
            "prepare/test_make_dataset.py::test_bad_samples_may_be_left_out_and_are_counted",
        ),
    ),
    Failure(
        52,
        "lists that lead nowhere",
        "Scripts replaced parts of paths in list files; entries depended on the working folder.",
        ("MFL052",),
        "Entries are relative to their list.",
        ("doctor/test_injected_failures.py::test_failure_52_lists_are_relative_to_themselves",),
    ),
    Failure(
        53,
        "documents that name what is gone",
        "55 scripts and configurations existed in documents alone.",
        (),
        "Not visible in anybody's data. Tests hold commands, options, links and tables of the "
        "documents against the program.",
        (
            "test_docs_blocks.py::test_commands_of_a_page_are_read_by_the_command_line",
            "test_docs.py::test_links_of_a_page_lead_somewhere",
        ),
    ),
    Failure(
        54,
        "a tokenizer in parts",
        "merges.txt was missing after a download that broke off.",
        ("MFL054",),
        "Fetched files are compared with their record; loading never uses the network.",
        ("models/test_mvdiffusion_folder.py::test_a_missing_file_is_named",),
    ),
    Failure(
        55,
        "disks full of checkpoints",
        "170 GB of whole models, and 46 GB of a tracker's cache.",
        ("MFL055",),
        "Adapters are megabytes. A run asks for room before each checkpoint and keeps few of them, "
        "and a disk that fills up leaves no half file.",
        (
            "train/test_checkpoints.py::test_room_is_asked_for_before",
            "train/test_checkpoints.py::test_the_newest_and_the_best_stay",
            "adapter/test_save_load.py::test_a_full_disk_leaves_the_old_adapter_and_no_other_file",
        ),
    ),
    Failure(
        56,
        "counters that were never set",
        "The step counter was unbound unless a run was resumed.",
        (),
        "An error of a program, not of data. A resumed run is tested to be the unbroken one, bit "
        "for bit.",
        ("train/test_resume.py::test_a_resumed_run_is_the_unbroken_one",),
    ),
    Failure(
        57,
        "a rasterizer of another version",
        "Two or three return values, by the version of a CUDA extension that was compiled by hand.",
        ("MFL057", "MFL070"),
        "One splat is drawn to see; a processor draws without any extension.",
        ("render/test_gsplat.py::test_a_gsplat_with_other_constants_is_an_error",),
    ),
    Failure(
        58,
        "16 bits taken for 8",
        "Pictures of 16 bits were clipped or cut into 8.",
        ("MFL058",),
        "Every reader divides by 257. The low byte alone is noise, which no program can tell from "
        "fur.",
        ("images/test_decode.py::test_16_bit_is_divided_by_257_and_rounded",),
    ),
    Failure(
        59,
        "metrics of three against four channels",
        "Saving scores crashed on pictures with alpha.",
        (),
        "Not visible in data. Metrics compare shapes and name both.",
        ("metrics/test_psnr.py::test_shapes_are_checked",),
    ),
    Failure(
        60,
        "scene and view swapped",
        "A tensor of indices had its axes in the other order; only names were wrong.",
        (),
        "Not visible in data. Samples and views are fields with names here, and have no such "
        "tensor.",
        ("data/test_collate.py::test_shapes_order_and_values",),
    ),
    Failure(
        61,
        "conclusions from several changes at once",
        "Cameras, preparation and learning rate changed together, and one was credited.",
        (),
        "Doctor sees one run, and this takes two: compare lists the settings in which runs differ.",
        ("evaluate/test_compare.py::test_settings_that_differ_are_listed",),
    ),
    Failure(
        62,
        "documents that contradict one another",
        "Y up and z up, 0.6 and 0.7, side by side.",
        (),
        "Not visible in anybody's data. Defaults stand in one place, and pages such as this one "
        "are written from the code; a test fails when they are not.",
        ("doctor/test_page.py::test_the_page_is_what_the_code_says",),
    ),
)

import TestSupport
import Testing

/// The help of the commands.
struct HelpTests {
    @Test(arguments: [
        (
            [],
            "translate predict evaluate key mask preprocess register info convert montage import phantom train bids serve --version"
        ),
        (
            ["translate"],
            """
            --model --config --weights --winograd-memory --style --steps --mode --corrections --step-size --scaling --bound --no-bound --clip --no-clip --solver --process --schedule --plane --batch --threads --spacing --prediction-type --objective --state --target --eta --seed --noise --encode-only --decode --first-stage --shape --reference --requantise --tile --overlap --report --raw --window --intensities --background --mask --server --in-flight --token-file --certificates --timeout --wire --verbose --quiet
            """
        ),
        (
            ["bids"],
            """
            --participant-label --participant_label --session-label --session_label --source-suffix --target-suffix \
            --entity --desc --model --dry-run --skull-stripped --jobs --skip-bids-validation --skip_bids_validation \
            --reference-suffix --references --match --config --weights --winograd-memory --style --steps --mode \
            --corrections --step-size --scaling --bound --no-bound --clip --no-clip --solver --process --schedule \
            --plane --batch --threads --spacing --prediction-type --objective --target --eta --seed --noise \
            --encode-only --decode --first-stage --shape --reference --requantise --tile --overlap --raw --window \
            --intensities --background --mask --verbose --quiet
            """
        ),
        (["predict"], "--model --config --weights --winograd-memory --threads"),
        (
            ["serve"],
            """
            --model --config --weights --winograd-memory --prediction-type --objective --name --host --port --threads \
            --token-file --maximum-request --maximum-requests --maximum-pixels --server --style --verbose --quiet
            """
        ),
        (["import"], "--config --weights --first-stage --type --verbose --quiet"),
        (
            ["evaluate"],
            "--mask --data-range --match --window --plane --voxelwise --json --csv --pairs --output --report --source --seed --threads --verbose --quiet"
        ),
        (["key"], "--bins --spacing --output --window --intensities --background --mask --verbose --quiet"),
        (["mask"], "--method --largest-component --fill-holes --output --verbose --quiet"),
        (
            ["preprocess"],
            "--preset --onto --orientation --spacing --interpolation --antialiasing --margin --shape --multiple --plane "
                + "--pipeline --save-pipeline --labels --window --intensities --background --mask --verbose --quiet"
        ),
        (
            ["register"],
            """
            --output --transform --apply --initial --only-apply --mask --search-angle --samples --bins \
            --minimum-overlap --json --threads --verbose --quiet
            """
        ),
        (["info"], "--json"),
        (["convert"], "--volume --type --nifti --verbose --quiet"),
        (
            ["train"],
            """
            --model --stage --from --features --data --output --config --align --resume --max-minutes --cache \
            --threads --save-memory --print-config --verbose --quiet
            """
        ),
        (
            ["montage"],
            "--output --labels --convention --point --difference --lightbox --slices --plain --verbose --quiet"
        ),
        (
            ["phantom"],
            """
            --output --subjects --shape --spacing --seed --anatomy --source --contrasts --lesions --validation --test \
            --threads --verbose --quiet
            """
        ),
    ])
    func helpNamesEveryOption(command: [String], names: String) async throws {
        let outcome = try await Tool.run(command + ["--help"])
        #expect(outcome.status == 0 && outcome.messages.isEmpty)
        let words = Set(outcome.output.split { " ,;:\n|[]/<>().".contains($0) }.map(String.init))
        for name in names.split(separator: " ") { #expect(words.contains(String(name)), "\(name)") }
        // And none that this test does not know.
        let options = words.filter { $0.hasPrefix("--") && !["--help", "--version"].contains($0) }
        if !command.isEmpty {
            #expect(options.isSubset(of: Set(names.split(separator: " ").map(String.init))))
        }
    }

    @Test func theVersionIsPrinted() async throws {
        let outcome = try await Tool.succeed("--version")
        #expect(outcome.output.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil)
    }
}

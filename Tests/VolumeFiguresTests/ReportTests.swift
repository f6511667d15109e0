import CZlib
import Foundation
import TestSupport
import Testing
import VolumeFigures
import VolumeMetrics
import Volumes

struct ReportTests {
    /// Whole numbers from 0 to 255, of which so many are 255 that it is the end of the window.
    private func volume(_ seed: UInt64, code: String = "LAS") -> Volume {
        var generator = SeededGenerator(seed: seed)
        let grid = VoxelGrid(
            shape: [14, 10, 12], affine: Affine(spacing: [1, 2, 1.5], translation: [-7, -9, -3]))
        let voxels = generator.floats(grid.count, in: 0...270).map { min($0.rounded(), 255) }
        var volume = Volume(grid: grid, voxels: voxels)
        volume[0, 0, 0] = 0
        return volume.permuted(AxisPermutation(from: .ras, to: Orientation(code: code)!))
    }

    private func page() throws -> HTMLReport {
        var page = HTMLReport(title: "A & <b>")
        let (result, reference) = (volume(1), volume(2))
        page.volumes = ReportVolumes(source: volume(3), result: result, reference: reference)
        page.setMetrics(try MetricReport(of: result, against: reference), of: MetricReport.standardMetrics())
        page.charts = [.histogram(of: ["result": result, "reference": reference])]
        page.facts = [("command", "voxelbridge evaluate </script><script>alert(1)</script>")]
        page.warnings = ["A warning"]
        page.pictures = [("Map", try Lightbox(result, slices: 4).image().pngData())]
        return page
    }

    @Test func isOneFileWithoutANetwork() throws {
        let text = String(decoding: try page().html(), as: UTF8.self)
        #expect(text.contains("default-src 'none'") && text.contains("A &amp; &lt;b&gt;"))
        #expect(!text.contains("src=\"http") && !text.contains("alert(1)</script>"))
        #expect(text.contains("DecompressionStream"))
    }

    @Test func largeVolumesFitTheBudget() throws {
        var generator = SeededGenerator(seed: 4)
        let grid = VoxelGrid(shape: [160, 160, 160])
        // Noise in every voxel: hardly any volume is harder to compress.
        let noise = (0..<2).map { _ in
            Volume(grid: grid, voxels: (0..<grid.count).map { _ in Float(generator.next() >> 40) })
        }
        var page = HTMLReport(title: "noise")
        page.volumes = ReportVolumes(result: noise[0], reference: noise[1])
        let html = page.html()
        #expect(html.count < 10_000_000)
        let text = String(decoding: html, as: UTF8.self)
        #expect(text.contains("Intensities are rounded to 64 levels") || text.contains("rounded to 128 levels"))
    }

    private struct Drawn: Decodable {
        let names: [String]
        let voxel: [Int]
        /// For each view of the axial plane the red of every voxel's middle, row by row from the top.
        let axial: [[Int]]
        let sliders: [Int]
        let values: [Double]
        let moved: [Int]
        let movedAxial: [[Int]]
        let slid: [Int]
        let zoomed: Double
        let warnings: Int
        let theme: String
        let tables: Int
    }

    @Test(.enabled(if: Browser.program != nil, Browser.missing))
    func theViewsShowTheVoxels() throws {
        try withTemporaryFolder { folder in
            let drawn: Drawn = try Browser.run(
                page().html(), in: folder,
                """
                const viewer = await report;
                const axial = () => viewer.views.filter(view => view.plane.normal === 2).map(view => {
                    const context = view.canvas.getContext('2d'), place = viewer.place(view), reds = [];
                    const image = context.getImageData(0, 0, view.canvas.width, view.canvas.height).data;
                    for (let row = 0; row < viewer.shape[1]; row++) for (let column = 0; column < viewer.shape[0]; column++) {
                        const x = Math.floor(place.left + (column + 0.5) * place.scale[0]);
                        const y = Math.floor(place.top + (row + 0.5) * place.scale[1]);
                        reds.push(image[4 * (y * view.canvas.width + x)]);
                    }
                    return reds;
                });
                const fillText = CanvasRenderingContext2D.prototype.fillText;
                CanvasRenderingContext2D.prototype.fillText = () => {};
                viewer.cross = false;
                viewer.drawNow();
                const planes = viewer.views.filter(view => view.index === 0).map(view => view.plane);
                const sliders = () => planes.map(plane => Number(plane.slider.value));
                const result = {
                    names: viewer.volumes.map(volume => volume.name), voxel: [...viewer.voxel], axial: axial(), sliders: sliders(),
                    values: viewer.volumes.map(volume => viewer.value(volume, viewer.offset(viewer.voxel))),
                    warnings: document.querySelectorAll('.warning').length, tables: document.querySelectorAll('table').length
                };
                const canvas = viewer.views[0].canvas;
                canvas.focus();
                for (const key of ['PageUp', 'ArrowRight', 'ArrowUp', '+'])
                    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
                result.zoomed = viewer.zoom;
                viewer.setZoom(1);
                viewer.drawNow();
                result.moved = sliders();
                result.movedAxial = axial();
                planes[0].slider.value = 2;
                planes[0].slider.dispatchEvent(new Event('input'));
                viewer.drawNow();
                result.slid = viewer.voxel;
                document.getElementById('theme').click();
                document.getElementById('theme').click();
                result.theme = document.documentElement.dataset.theme;
                return result;
                """)
            #expect(drawn.names == ["Source", "Result", "Reference", "Difference"])
            #expect(drawn.warnings == 1 && drawn.tables == 2 && drawn.theme == "dark")
            #expect(drawn.sliders == [drawn.voxel[2], drawn.voxel[1], drawn.voxel[0]])
            let volumes = [volume(3, code: "RAS"), volume(1, code: "RAS"), volume(2, code: "RAS")]
            let (x, y, z) = (drawn.voxel[0], drawn.voxel[1], drawn.voxel[2])
            for (index, volume) in volumes.enumerated() {
                #expect(drawn.axial[index] == axial(volume, z))
                #expect(abs(drawn.values[index] - Double(volume[x, y, z])) < 1e-9)
            }
            #expect(abs(drawn.values[3] - Double(volumes[1][x, y, z] - volumes[2][x, y, z])) < 1e-9)
            // The patient's right is on the left, so that to the right x falls.
            #expect(drawn.moved == [z + 1, y + 1, x - 1] && drawn.zoomed == 1.25)
            for (index, volume) in volumes.enumerated() {
                #expect(drawn.movedAxial[index] == axial(volume, z + 1))
            }
            #expect(drawn.slid == [x - 1, y + 1, 2])
        }
    }

    /// An axial slice as it is shown.
    private struct Accessibility: Decodable {
        let unnamed: [String]
        let faint: [String]
        let jumps: [String]
        let headings: [Int]
        let focusable: Int
        let language: String
    }

    /// Names of controls and pictures, contrast of all text in both schemes of colours (4.5, or 3 for large text: WCAG 2.2,
    /// 1.4.3), the order of focus and of headings.
    @Test(.enabled(if: Browser.program != nil, Browser.missing), arguments: [false, true])
    func everyoneCanUseThePage(ofCohort: Bool) throws {
        try withTemporaryFolder { folder in
            let found: Accessibility = try Browser.run(
                ofCohort ? cohortPage().html() : page().html(), in: folder,
                """
                await report;
                const name = element => (element.getAttribute('aria-label') || element.getAttribute('alt')
                    || [...element.labels ?? []].map(label => label.textContent).join(' ') || element.textContent).trim();
                const shown = [...document.querySelectorAll('body *')].filter(element =>
                    element.checkVisibility() && !element.closest('[aria-hidden="true"]'));
                const controls = shown.filter(element => element.matches('button, input, select, a[href], img, canvas, svg'));
                const unnamed = controls.filter(element => !name(element)).map(element => element.outerHTML.slice(0, 120));
                const channels = colour => colour.match(/[\\d.]+/g).map(Number);
                const light = colour => channels(colour).slice(0, 3).map(value => value / 255)
                    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
                    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
                const back = element => {
                    for (let place = element; place; place = place.parentElement) {
                        const colour = getComputedStyle(place).backgroundColor;
                        if ((channels(colour)[3] ?? 1) > 0) return colour;
                    }
                    return 'rgb(255, 255, 255)';
                };
                const faint = [];
                for (const theme of ['light', 'dark']) {
                    document.documentElement.dataset.theme = theme;
                    for (const element of shown) {
                        if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
                        const style = getComputedStyle(element);
                        const ends = [light(element.closest('svg') ? style.fill : style.color), light(back(element))];
                        const contrast = (Math.max(...ends) + 0.05) / (Math.min(...ends) + 0.05);
                        const isLarge = parseFloat(style.fontSize) >= 24;
                        if (contrast < (isLarge ? 3 : 4.5))
                            faint.push(`${theme}: ${contrast.toFixed(2)} ${element.textContent.trim().slice(0, 60)}`);
                    }
                }
                const focusable = shown.filter(element => element.tabIndex >= 0 && !element.disabled);
                const jumps = focusable.filter(element => element.tabIndex > 0).map(element => element.outerHTML.slice(0, 120));
                const headings = [...document.querySelectorAll('h1, h2, h3, h4')].map(heading => Number(heading.tagName[1]));
                return { unnamed, faint, jumps, headings, focusable: focusable.length,
                    language: document.documentElement.lang };
                """)
            #expect(found.unnamed.isEmpty && found.faint.isEmpty && found.jumps.isEmpty, "\(found)")
            #expect(found.language == "en" && found.focusable > 5)
            #expect(found.headings.first == 1 && found.headings.count { $0 == 1 } == 1)
            #expect(zip(found.headings, found.headings.dropFirst()).allSatisfy { $1 <= $0 + 1 })
        }
    }

    /// Outside a mask the difference is grey, and the result and the reference are as they are.
    @Test(.enabled(if: Browser.program != nil, Browser.missing))
    func theDifferenceEndsAtTheMask() throws {
        struct Colours: Decodable {
            let names: [String]
            let outside, inside: [Int]
            let value: Double?
            let readout: String
        }
        try withTemporaryFolder { folder in
            var page = try page()
            let reference = try #require(page.volumes?.reference)
            var mask = Volume(grid: reference.grid, repeating: 1)
            for index in 0..<mask.grid.count where index % mask.shape.x < mask.shape.x / 2 {
                mask.voxels[index] = 0
            }
            page.volumes?.mask = mask
            let found: Colours = try Browser.run(
                page.html(), in: folder,
                """
                const viewer = await report;
                const difference = viewer.volumes.findIndex(volume => volume.kind === 'difference');
                const colours = viewer.colours(viewer.volumes[difference], difference);
                const outside = viewer.mask.indexOf(0), inside = viewer.mask.findIndex(value => value > 0);
                viewer.voxel = [outside % viewer.shape[0], Math.floor(outside / viewer.shape[0]) % viewer.shape[1], 0];
                viewer.drawNow();
                return { names: viewer.volumes.map(volume => volume.name), outside: colours(outside), inside: colours(inside),
                    value: viewer.value(viewer.volumes[difference], outside), readout: viewer.readout.textContent };
                """)
            #expect(found.names == ["Source", "Result", "Reference", "Difference"])
            #expect(found.outside == [128, 128, 128] && found.inside != found.outside && found.value == nil)
            #expect(found.readout.contains("Difference outside the mask"))
        }
    }

    private func axial(_ ras: Volume, _ z: Int) -> [Int] {
        (0..<ras.shape.y).flatMap { row in
            (0..<ras.shape.x).map { Int(ras[ras.shape.x - 1 - $0, ras.shape.y - 1 - row, z]) }
        }
    }

    private func cohortPage() -> HTMLReport {
        let values = [21.0, 19, 30, 25]
        let results = values.enumerated().map { index, value in
            CohortEvaluation.Result(
                subject: "s\(index)",
                metrics: MetricReport(entries: [
                    .init(name: "psnr", value: value), .init(name: "mae", value: Double(index)),
                ]))
        }
        let failed = CohortEvaluation.Result(
            subject: "s4", metrics: MetricReport(entries: []), failure: "there is no such file")
        let metrics: [any VolumeMetric] = [PSNR(), MAE()]
        var report = HTMLReport(title: "cohort")
        report.cohort = CohortReport(
            CohortEvaluation(results: results + [failed], metrics: metrics), metrics: metrics)
        report.cohort?.links = [1: "subjects/s1.html"]
        return report
    }

    private struct Cohort: Decodable {
        let first: [String]
        let sorted: [String]
        let reversed: [String]
        let failure: Bool
        let circles: Int
        let link: String
    }

    @Test(.enabled(if: Browser.program != nil, Browser.missing))
    func theWorstSubjectsComeFirst() throws {
        try withTemporaryFolder { folder in
            let shown: Cohort = try Browser.run(
                cohortPage().html(), in: folder,
                """
                await report;
                const table = [...document.querySelectorAll('table')].find(table => table.querySelector('th button'));
                const subjects = () => [...table.querySelectorAll('tbody tr')].map(row => row.cells[0].textContent);
                const button = [...table.querySelectorAll('th button')].find(button => button.textContent === 'mae');
                const result = {
                    first: subjects(), failure: table.textContent.includes('there is no such file'),
                    circles: document.querySelectorAll('circle').length, link: table.querySelector('a').getAttribute('href')
                };
                button.click();
                result.sorted = subjects();
                button.click();
                result.reversed = subjects();
                return result;
                """)
            #expect(shown.first == ["s4", "s1", "s0", "s3", "s2"] && shown.failure && shown.circles == 4)
            #expect(
                shown.sorted == ["s0", "s1", "s2", "s3", "s4"] && shown.reversed == shown.sorted.reversed())
            #expect(shown.link == "subjects/s1.html")
        }
    }
}

"""The style sheet of the HTML report: phones, wide screens, dark screens, paper.

The text of a piece of evidence stands beside its `<details>`, not in it: so it can be hidden on the
screen until it is opened, and always shown on paper, in every browser and without script.
"""

STYLE = """
:root{color-scheme:light dark;--ink:#1b1d20;--soft:#565c64;--line:#d9dce1;--paper:#fff;
--tint:#f4f5f7;--target:#c2410c;--reference:#0072b2}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a6acb4;--line:#3a3f46;
--paper:#15171a;--tint:#1e2125;--target:#f2994a;--reference:#6db9ea}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
max-width:68rem;margin:1.5rem auto;padding:0 1rem;color:var(--ink);background:var(--paper);
overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
h4{font-size:.9rem;margin:.9rem 0 .2rem}
p{margin:.4rem 0}
.soft{color:var(--soft)}
.warn{border:2px solid var(--target);border-radius:6px;padding:.4rem .8rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.8rem 0}
dt{color:var(--soft)}dd{margin:0;min-width:0}
svg text{font-size:13px;fill:var(--ink);font-family:inherit}
.sign{width:1.25em;height:1.25em;vertical-align:-.25em;margin-right:.45em;flex:none}
.sign text{font-size:15px;font-weight:700;fill:#000}
.tag{white-space:nowrap;margin-right:.9em}
.bar{display:grid;grid-template-columns:15rem 1fr;gap:.2rem 1rem;align-items:center;margin:.25rem 0}
.bar span{min-width:0;overflow-wrap:anywhere}
.stack{width:100%;height:24px;border-radius:4px;display:block}
.stack rect{stroke:var(--paper);stroke-width:1.5px}
.stack text{fill:#000}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.4rem .7rem .4rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
th{color:var(--soft);font-weight:600;font-size:.9rem}
.whole{white-space:nowrap}.site,.what,dd{overflow-wrap:anywhere}
.sure{font-size:.9rem;color:var(--soft)}td.sure{width:11rem}
code{font:.9em ui-monospace,"DejaVu Sans Mono",Consolas,monospace;white-space:nowrap}
td small{display:block;color:var(--soft);font-size:.9rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:1.2rem}
figure{margin:0;break-inside:avoid}
figcaption{overflow-wrap:anywhere}
.curves{width:100%;height:auto;max-width:28rem;display:block}
.curves text{font-size:11px;fill:var(--soft)}
.axis{stroke:var(--line);fill:none}
.target{stroke:var(--target);fill:none;stroke-width:2.2}
.reference{stroke:var(--reference);fill:none;stroke-width:1.6;stroke-dasharray:5 3}
.key{width:28px;height:10px;margin-right:.4em}
.legend{font-size:.85rem;color:var(--soft)}.legend span{margin-right:1.2em;white-space:nowrap}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0 0;background:var(--tint)}
summary{cursor:pointer;padding:.4rem .8rem;overflow-wrap:anywhere}
.evidence{padding:.2rem .8rem .6rem;border:1px solid var(--line);border-top:0;
border-radius:0 0 6px 6px}
details:not([open])+.evidence{display:none}
ul{margin:.1rem 0;padding:0;list-style:none;font-size:.88rem}
li{white-space:pre-wrap;overflow-wrap:anywhere;padding-left:1.2em;text-indent:-1.2em;
font-variant-numeric:tabular-nums}
@media(max-width:860px){
thead{display:none}table.sites,table.sites tbody{display:block}
table.sites tr{display:grid;grid-template:"tag site sure" "what what what"/
max-content 1fr fit-content(15rem);gap:.1rem .8rem;padding:.5rem 0;
border-bottom:1px solid var(--line)}
table.sites td{display:block;border:0;padding:0;width:auto}
.site{grid-area:site;font-weight:600}.out{grid-area:tag}.what{grid-area:what}.sure{grid-area:sure}
.sites .sure{min-width:0}}
@media(max-width:640px){
body{margin:.8rem auto;padding:0 .8rem}h1{font-size:1.35rem}
dl{display:block}dd{margin:0 0 .4rem}
.bar{grid-template-columns:minmax(0,1fr);margin:.4rem 0}
table.sites tr{grid-template:"site site" "tag sure" "what what"/max-content 1fr}
td{padding-right:.5rem}}
@media print{
:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--tint:#fff;
--target:#c2410c;--reference:#0072b2}
body{font-size:10pt;max-width:none;margin:0;padding:0}
.evidence{font-size:8pt;line-height:1.3}
details:not([open])+.evidence{display:block}
details,tr,.bar{break-inside:avoid}details{break-after:avoid}summary{list-style:none}
summary::-webkit-details-marker{display:none}
h2,h3,h4{break-after:avoid}.grid{grid-template-columns:1fr 1fr}}
"""

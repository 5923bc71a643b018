"""The style sheet of the report page: one column of text, a contents list beside it where there is room."""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--panel:#f6f7f8;--ink:#1b1e22;--soft:#57606b;--rule:#d9dde2;
--link:#0a5a9c;--good:#1a6b34;--neutral:#5b5340;--negative:#9c2f1d;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Liberation Sans",Arial,sans-serif;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--panel:#1d2126;--ink:#e4e7ea;--soft:#a4adb7;
--rule:#363c44;--link:#82bbf2;--good:#7ccb93;--neutral:#d2c192;--negative:#f09a86}}
*,*::before{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.6 var(--sans);overflow-wrap:break-word}
.page{max-width:45rem;margin:0 auto;padding:2.75rem 1.25rem 3rem}
h1,h2,h3{line-height:1.25;text-wrap:balance;letter-spacing:-.012em;font-weight:650}
h1{font-size:clamp(1.55rem,1.2rem + 1.6vw,2.1rem);margin:0 0 1rem}
h2{font-size:1.32rem;margin:0 0 .9rem;padding-top:1.1rem;border-top:1px solid var(--rule)}
h3{font-size:1.06rem;margin:1.8rem 0 .5rem}
section{margin-top:2.6rem}
p{margin:0 0 1rem;text-wrap:pretty}
.lead p{font-size:1.075rem}
a{color:var(--link)}
nav{margin:1.8rem 0 0;padding:.8rem 1rem;background:var(--panel);border-radius:6px;font-size:.92rem}
nav p{font-size:.82rem;margin:0 0 .3rem;color:var(--soft)}
nav ol{margin:0;padding:0;list-style:none}
nav li{margin:.1rem 0}
nav a{display:block;padding:.16rem 0;text-decoration:none}
nav a:hover{text-decoration:underline}
code,pre{font-family:var(--mono);font-size:.88em}
code{background:var(--panel);border-radius:3px;padding:.08em .3em;overflow-wrap:anywhere}
pre{margin:0 0 1rem;padding:.8rem 1rem;background:var(--panel);border-radius:6px;overflow-x:auto;
line-height:1.5}
pre code{padding:0;background:none;overflow-wrap:normal}
ul{margin:0 0 1rem;padding-left:1.25rem}
li{margin:.25rem 0}
figure{margin:1.4rem 0 1.8rem}
figcaption{font-size:.89rem;line-height:1.5;color:var(--soft)}
.picture{background:#fff;border:1px solid var(--rule);border-radius:6px;padding:.6rem;text-align:center}
.picture img{display:block;margin:0 auto;max-width:100%;height:auto}
.picture + figcaption{margin-top:.6rem}
.moving summary{font-size:.82rem;color:var(--soft);cursor:pointer;margin-bottom:.35rem}
.moving + figcaption{margin-top:.6rem}
.tabular figcaption{margin-bottom:.45rem}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
.scroll:focus-visible,pre:focus-visible,a:focus-visible,summary:focus-visible{
outline:2px solid var(--link);outline-offset:2px}
table{border-collapse:collapse;min-width:100%;font-size:.9rem;line-height:1.4;
border-top:1.5px solid var(--ink);border-bottom:1.5px solid var(--ink)}
th,td{padding:.38rem .6rem;text-align:left;vertical-align:baseline;font-weight:400}
th:first-child,td:first-child{padding-left:.15rem}
th:last-child,td:last-child{padding-right:.15rem}
thead th{font-weight:600;vertical-align:bottom;border-bottom:1px solid var(--soft)}
tbody tr + tr > *{border-top:1px solid var(--rule)}
tbody th{min-width:8rem}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums lining-nums}
thead .number{white-space:normal}
.verdict{position:relative;margin:0 0 1.4rem;padding-left:1.5rem}
.verdict + .verdict{margin-top:-.8rem}
.verdict::before{content:"";position:absolute;left:.15rem;top:.5em;width:.7em;height:.7em;border-radius:50%;
background:var(--tone);print-color-adjust:exact}
.neutral::before{background:none;border:.16em solid var(--tone)}
.negative::before{border-radius:0}
.verdict strong{color:var(--tone);font-weight:650}
.good{--tone:var(--good)}.neutral{--tone:var(--neutral)}.negative{--tone:var(--negative)}
dl{display:grid;grid-template-columns:minmax(7rem,max-content) minmax(0,1fr);gap:.3rem 1.25rem;
margin:0 0 1rem;font-size:.9rem;line-height:1.45}
dt{color:var(--soft);overflow-wrap:anywhere}
dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
@media (max-width:34rem){.page{padding:1.6rem 1rem 2.5rem}
dl{grid-template-columns:minmax(0,10rem) minmax(0,1fr);column-gap:.75rem}
.picture{padding:.3rem}th,td{padding:.38rem .5rem}}
@media (min-width:72rem){.with-contents{max-width:61rem;display:grid;column-gap:3rem;
grid-template-columns:12.5rem minmax(0,1fr);grid-template-rows:auto 1fr}
.with-contents > header,.with-contents > main{grid-column:2}
.with-contents > nav{grid-column:1;grid-row:1 / span 2;align-self:start;position:sticky;top:2.75rem;margin:0;
padding:.2rem 0;background:none;max-height:calc(100vh - 4rem);overflow-y:auto}
.with-contents nav li{margin:.2rem 0}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{:root{color-scheme:light;--paper:#fff;--panel:#f4f4f4;--ink:#000;--soft:#444;--rule:#bbb;
--link:#000;--good:#1a6b34;--neutral:#5b5340;--negative:#9c2f1d}
body{font-size:10pt}nav,summary{display:none}.page,.with-contents{display:block;max-width:none;padding:0}
figure,tr,.verdict,pre{break-inside:avoid}h2,h3{break-after:avoid}.scroll,pre{overflow:visible}
pre,pre code{white-space:pre-wrap}}
""".strip()

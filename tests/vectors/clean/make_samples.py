"""Makes the samples in this folder, with the names of a person, a device and a place planted in them.

Debian: python3-pil, libimage-exiftool-perl, and LibreOffice without its screens (libreoffice-writer-nogui, -calc-, -impress-).
Run in an empty folder. The files are committed; nothing runs this in a build.
"""

import struct, zlib, base64, subprocess, os
from PIL import Image, ImageCms
import io
def grad(w,h):
    im=Image.new('RGB',(w,h))
    im.putdata([((x*255)//w,(y*255)//h,((x^y)*4)&255) for y in range(h) for x in range(w)])
    return im
prof=ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
im=grad(48,32)
im.save('photo.jpg',quality=80,icc_profile=prof)
im.save('progressive.jpg',quality=80,progressive=True)
im.save('picture.png',icc_profile=prof)
im.save('picture.webp',quality=70,icc_profile=prof)
thumb=io.BytesIO(); grad(16,12).save(thumb,'JPEG',quality=40); open('thumb.jpg','wb').write(thumb.getvalue())
tags=['-Artist=Planted Author','-Copyright=Planted Author','-Make=PlantedMaker','-Model=PlantedModel','-Software=PlantedProgram','-SerialNumber=PLANTED4711','-DateTimeOriginal=2026:02:03 04:05:06','-GPSLatitude=52.5','-GPSLatitudeRef=N','-GPSLongitude=13.4','-GPSLongitudeRef=E','-XMP-dc:Creator=Planted Author','-XMP-xmpMM:DocumentID=planted-document-id','-Orientation#=6','-UserComment=Planted words']
for f in ['photo.jpg','picture.png','picture.webp']:
    extra=['-IPTC:By-line=Planted Author','-Comment=Planted comment','-ThumbnailImage<=thumb.jpg'] if f.endswith('jpg') else (['-PNG:Author=Planted Author','-PNG:Software=PlantedProgram'] if f.endswith('png') else [])
    subprocess.run(['exiftool','-q','-overwrite_original']+tags+extra+[f],check=True)
# a second picture and words behind the end
open('photo.jpg','ab').write(open('thumb.jpg','rb').read()+b'Planted trailer')
os.remove('thumb.jpg')
pic=base64.b64encode(open('photo.jpg','rb').read()).decode()
ns=' '.join(f'xmlns:{p}="{u}"' for p,u in dict(office='urn:oasis:names:tc:opendocument:xmlns:office:1.0',text='urn:oasis:names:tc:opendocument:xmlns:text:1.0',table='urn:oasis:names:tc:opendocument:xmlns:table:1.0',draw='urn:oasis:names:tc:opendocument:xmlns:drawing:1.0',dc='http://purl.org/dc/elements/1.1/',meta='urn:oasis:names:tc:opendocument:xmlns:meta:1.0',xlink='http://www.w3.org/1999/xlink',svg='urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0',style='urn:oasis:names:tc:opendocument:xmlns:style:1.0',presentation='urn:oasis:names:tc:opendocument:xmlns:presentation:1.0',fo='urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0').items())
meta='<office:meta><meta:generator>PlantedProgram</meta:generator><dc:title>Planted title</dc:title><meta:initial-creator>Planted Author</meta:initial-creator><dc:creator>Planted Author</dc:creator><dc:date>2026-02-03T04:05:06</dc:date><meta:user-defined meta:name="Firm">Planted firm</meta:user-defined></office:meta>'
frame=f'<draw:frame draw:name="Planted picture" svg:width="3cm" svg:height="2cm" svg:x="5cm" svg:y="5cm" %s><draw:image><office:binary-data>{pic}</office:binary-data></draw:image></draw:frame>'
anchor='text:anchor-type="as-char"'
note='<office:annotation><dc:creator>Planted Author</dc:creator><dc:date>2026-02-03T04:05:06</dc:date><text:p>Planted comment</text:p></office:annotation>'
open('document.fodt','w').write(f'<?xml version="1.0" encoding="UTF-8"?><office:document {ns} office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.text">{meta}<office:body><office:text><text:tracked-changes><text:changed-region text:id="ct1"><text:deletion><office:change-info><dc:creator>Planted Author</dc:creator><dc:date>2026-02-03T04:05:06</dc:date></office:change-info><text:p>Planted deletion</text:p></text:deletion></text:changed-region><text:changed-region text:id="ct2"><text:insertion><office:change-info><dc:creator>Planted Author</dc:creator><dc:date>2026-02-03T04:05:06</dc:date></office:change-info></text:insertion></text:changed-region></text:tracked-changes><text:p>The words that stay{note}, <text:change-start text:change-id="ct2"/>and what was put in<text:change-end text:change-id="ct2"/><text:change text:change-id="ct1"/> at the end. <text:a xlink:type="simple" xlink:href="https://example.org/">A link</text:a></text:p><text:p>{frame%anchor}</text:p></office:text></office:body></office:document>')
open('table.fods','w').write(f'<?xml version="1.0" encoding="UTF-8"?><office:document {ns} office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">{meta}<office:body><office:spreadsheet><table:table table:name="Sheet"><table:table-row><table:table-cell office:value-type="string">{note}<text:p>The words that stay</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="7"><text:p>7</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body></office:document>')
open('slides.fodp','w').write(f'<?xml version="1.0" encoding="UTF-8"?><office:document {ns} office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.presentation">{meta}<office:automatic-styles><style:page-layout style:name="PM"><style:page-layout-properties fo:page-width="20cm" fo:page-height="15cm"/></style:page-layout></office:automatic-styles><office:master-styles><style:master-page style:name="M" style:page-layout-name="PM"/></office:master-styles><office:body><office:presentation><draw:page draw:name="page1" draw:master-page-name="M">{note}<draw:frame svg:width="8cm" svg:height="2cm" svg:x="1cm" svg:y="1cm"><draw:text-box><text:p>The words that stay</text:p></draw:text-box></draw:frame>{frame%""}<presentation:notes><draw:frame svg:width="8cm" svg:height="2cm" svg:x="1cm" svg:y="1cm" presentation:class="notes"><draw:text-box><text:p>Planted notes</text:p></draw:text-box></draw:frame></presentation:notes></draw:page></office:presentation></office:body></office:document>')

for source, kind in [("document.fodt", "odt"), ("document.fodt", "docx"), ("document.fodt", "pdf"), ("table.fods", "ods"),
                     ("table.fods", "xlsx"), ("slides.fodp", "odp"), ("slides.fodp", "pptx")]:
    subprocess.run(["soffice", "--headless", "--convert-to", kind, source], check=True)

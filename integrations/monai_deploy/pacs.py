"""A study in a PACS with DICOMweb (DICOM PS3.18): QIDO-RS and WADO-RS load it, and STOW-RS stores its results."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from dicomweb_client import DICOMwebClient
from requests import HTTPError, RequestException, Session

from custom_components.foundation.errors import InputError
from data_prep.dicom.dicomweb import with_bare_types
from data_prep.dicom.headers import quietly

ADDRESS = re.compile(r"(?P<root>https?://[^/@]+(?:/.+)?)/studies/(?P<study>[\d.]+)/?")
SOP_INSTANCE_UID = "00080018"
AS_STORED = (("application/dicom", "*"),)


class PacsStudy:
    """One study of a DICOMweb server.

    Args:
        url: ``<root of the server>/studies/<StudyInstanceUID>``. User and password come from ``~/.netrc``.

    Raises:
        InputError: if the URL is not the address of a study.
    """

    def __init__(self, url: str):
        match = ADDRESS.fullmatch(url)
        if match is None:
            raise InputError(f"{url}: is no study's address; give http(s)://<DICOMweb root>/studies/<StudyInstanceUID>")
        self.url = url.rstrip("/")
        self.uid = match["study"]
        self._client = DICOMwebClient(match["root"], session=with_bare_types(Session()))
        # Retries would wait half a minute for a PACS that is down; a user can easily run the command again.
        self._client.set_http_retry_params(retry=False)

    def pull(self, folder: Path) -> None:
        """Write all instances, as the server stores them, into a folder; a file's name is the instance's UID.

        Raises:
            InputError: if the server cannot be reached, has no such study, or sends fewer instances than it lists.
        """
        with self._talking("is not pulled", "look at the PACS, then run again"), quietly():
            found = self._client.search_for_instances(study_instance_uid=self.uid, fields=["SOPInstanceUID"])
            listed = {one[SOP_INSTANCE_UID]["Value"][0] for one in found}
            if not listed:
                raise InputError(f"{self.url}: the PACS has no such study; check the UID")
            for instance in self._client.iter_study(self.uid, media_types=AS_STORED):
                # Only the last part of the name is used: a name from another computer must not lead out of the folder.
                instance.save_as(folder / Path(instance.SOPInstanceUID).name)
        missing = listed - {path.name for path in folder.iterdir()}
        if missing:
            raise InputError(f"{self.url}: {len(missing)} of {len(listed)} instances did not arrive; run again")

    def store(self, files: Sequence[Path]) -> None:
        """Store files in one request, in their order. The server may already have some of the files.

        Raises:
            InputError: if the server cannot be reached, or refuses a file.
        """
        advice = f"they are kept in {files[0].parent}, look at the PACS, then run again"
        datasets = [pydicom.dcmread(path) for path in files]
        with self._talking("its results are not stored", advice):
            answer = self._client.store_instances(datasets, self.uid)
            stored = {item.ReferencedSOPInstanceUID for item in answer.get("ReferencedSOPSequence", [])}
            refused = [path.name for path, one in zip(files, datasets, strict=True) if one.SOPInstanceUID not in stored]
            if refused:
                raise InputError(f"{self.url}: the PACS did not accept {', '.join(refused)}; {advice}")

    @contextmanager
    def _talking(self, problem: str, advice: str) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except HTTPError as error:
            reason = f"HTTP {error.response.status_code} {error.response.reason}"
            raise InputError(f"{self.url}: {problem} ({reason}); {advice}") from error
        except (RequestException, pydicom.errors.InvalidDicomError, EOFError, KeyError, ValueError) as error:
            raise InputError(f"{self.url}: {problem} ({type(error).__name__}); {advice}") from error
